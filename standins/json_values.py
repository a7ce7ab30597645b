"""Is this JSON value an object or a list? Narrows its type for the checker."""

from typing import Any, cast

Json = dict[str, Any]


def json_object(value: Any) -> Json | None:
    return cast("Json", value) if isinstance(value, dict) else None


def json_list(value: Any) -> list[Any] | None:
    return cast("list[Any]", value) if isinstance(value, list) else None

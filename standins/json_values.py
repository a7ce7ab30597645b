"""Is this JSON value an object or a list? Narrows its type for the checker."""

import json
from typing import Any, cast

Json = dict[str, Any]


def json_object(value: Any) -> Json | None:
    return cast("Json", value) if isinstance(value, dict) else None


def json_list(value: Any) -> list[Any] | None:
    return cast("list[Any]", value) if isinstance(value, list) else None


def body_object(raw: bytes) -> Json:
    """Return the JSON object that the body of a request is; raises a ValueError that says what is wrong with it."""
    try:
        found = json_object(json.loads(raw))
    except ValueError as problem:
        raise ValueError(f"the body is not JSON: {problem}") from problem
    if found is None:
        raise ValueError("the body is not a JSON object")
    return found

"""Do the arguments of a call match the tool's schema, and which problem does the model read?

The keywords are those of `domain.config.argument_schemas`; the operator's schemas have no others.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from domain.content.json_schema import Mismatch, children, first_mismatch, parsed_json

MAX_LEVELS: Final = 64
"""How deeply arguments may be nested: libraries that write them give up at some depth."""


def parsed_arguments(text: str) -> dict[str, Any] | str:
    """Return the arguments of a call, or the problem: models write them as text."""
    is_json, body = parsed_json(text.strip() or "{}")
    if not is_json:
        return "the arguments are not valid JSON"
    if not is_within_levels(body):
        return f"the arguments are nested in more than {MAX_LEVELS} levels"
    if not is_writable(body):
        return "the arguments have a lone surrogate, which is half a character, or a number that is too large"
    return cast("dict[str, Any]", body) if isinstance(body, dict) else "the arguments are not a JSON object"


def call_problem(text: str, schema: Mapping[str, Any], *, max_bytes: int) -> str:
    """Return the first problem of a call's arguments as the model wrote them; empty where there is none."""
    if len(text.encode(errors="replace")) > max_bytes:
        return f"the arguments are larger than {max_bytes} bytes"
    arguments = parsed_arguments(text)
    return arguments if isinstance(arguments, str) else argument_problem(arguments, schema)


def is_within_levels(body: Any) -> bool:
    level: list[Any] = [body]
    for _ in range(MAX_LEVELS):
        level = [child for each in level for child in children(each)]
        if not level:
            return True
    return False


def is_writable(body: Any) -> bool:
    """Tell whether a value can be sent as JSON in UTF-8: half a character and `1e999` can be read, but not written."""
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def argument_problem(value: Any, schema: Mapping[str, Any]) -> str:
    """Return the first problem of the arguments, for the model to correct; empty where there is none."""
    found = first_mismatch(value, schema)
    return problem_text(found) if found else ""


def problem_text(found: Mismatch) -> str:
    """Name the argument and what is expected. The names and values are the model's own and the operator's."""
    match found.keyword:
        case "required":
            return f"{name_of(found)}: required, but missing"
        case "additionalProperties":
            return f"{name_of(found)}: not an argument of this tool; it has {', '.join(found.rule) or 'none'}"
        case "enum":
            return f"{name_of(found)}: expected one of {json.dumps(found.rule, ensure_ascii=False)}"
        case "const":
            return f"{name_of(found)}: expected {json.dumps(found.rule, ensure_ascii=False)}"
        case _:
            return f"{name_of(found)}: {found.expected}"


def name_of(found: Mismatch) -> str:
    name = f".{found.name[:64]}" if found.name else ""
    return "".join((*found.path, name)).removeprefix(".") or "the arguments"

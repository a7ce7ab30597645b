"""Do the arguments of a call match the tool's schema, and which problem does the model read?

The keywords are those of `domain.config.argument_schemas`; the operator's schemas have no others.
"""

import json
from collections.abc import Mapping
from typing import Any, cast

from domain.content.json_schema import Mismatch, first_mismatch, parsed_json


def parsed_arguments(text: str) -> dict[str, Any] | str:
    """Return the arguments of a call, or the problem: models write them as text."""
    is_json, body = parsed_json(text.strip() or "{}")
    if not is_json:
        return "the arguments are not valid JSON"
    return cast("dict[str, Any]", body) if isinstance(body, dict) else "the arguments are not a JSON object"


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

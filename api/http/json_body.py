"""Which JSON object is the body of a request?

It is stricter than `json`: it rejects bodies that two parsers could read differently. Every error says what is wrong
and, where it is known, in which field.
"""

import json
import re
from collections.abc import Iterable
from math import isfinite
from typing import Any, cast

from api.http.json_parser import DEPTH_LIMIT, RESERVED_NAMES, JsonParser, memory_for, most_memory
from domain.errors import Invalid

QUICK = 262_144
"""The longest text that one call of `json.loads` may read: it holds the interpreter for some 5 ms."""

SURROGATES = re.compile(r"\\u[dD]")


def read_object(raw: bytes, what: str = "request's body") -> dict[str, Any]:
    """Return the JSON object that `what` is; raises Invalid, which names it."""
    if not raw.strip():
        raise Invalid(f"The {what} is empty: expected a JSON object.", code="invalid_json")
    try:
        text = raw.decode()
        return quick_object(text) or careful_object(text, what)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except ValueError:
        problem = "has a number with too many digits"
    raise Invalid(f"The {what} {problem}.", code="invalid_json")


def careful_object(text: str, what: str) -> dict[str, Any]:
    parser = JsonParser(text)
    if parser.next_character() in NOT_OBJECTS:
        raise Invalid(f"The {what} is not a JSON object.", code="invalid_json")
    return parser.parse()


def quick_object(text: str) -> dict[str, Any] | None:
    """Return the object of a short and ordinary text; None for every text that `JsonParser` has to judge."""
    if len(text) > QUICK or most_memory(text) > memory_for(text) or SURROGATES.search(text):
        return None
    try:
        value = json.loads(text, object_pairs_hook=ordinary, parse_constant=unusual, parse_float=finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or is_too_deep(members := cast("dict[str, Any]", value)):
        return None
    return members


def ordinary(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raises ValueError where a name occurs twice or is reserved."""
    members = dict(pairs)
    if len(members) != len(pairs) or not RESERVED_NAMES.isdisjoint(members):
        raise ValueError("a name is not allowed")
    return members


def unusual(name: str) -> object:
    raise ValueError(name)


def finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("the number is too large")
    return number


def is_too_deep(value: object) -> bool:
    containers = [value]
    for _ in range(DEPTH_LIMIT):
        containers = [inner for each in containers for inner in members_of(each) if isinstance(inner, dict | list)]
        if not containers:
            return False
    return True


def members_of(container: object) -> Iterable[object]:
    if isinstance(container, dict):
        return cast("dict[str, object]", container).values()
    return cast("list[object]", container)


NOT_OBJECTS = frozenset('["-0123456789tfnNI')
"""With these characters begin the JSON values that are no objects."""

"""Which JSON object is the body of a request?

It is stricter than `json`: it rejects bodies that two parsers could read differently. Every error says what is wrong
and, where it is known, in which field.
"""

import json
from collections.abc import Iterable
from math import isfinite
from typing import Any

from azurefunctions.extensions.http.fastapi import Request
from starlette.requests import ClientDisconnect

from domain.errors import Invalid

DEPTH_LIMIT = 64
PATH_LIMIT = 200
RESERVED_NAMES = frozenset({"__class__", "__module__", "__data__"})
"""Names that the durable SDK's JSON decoder turns into Python objects; a body must not contain them."""

type Pairs = list[tuple[str, "Raw"]]
type Raw = str | float | bool | list["Raw"] | RawObject | RawConstant | None


class RawObject:
    """An object as it was written; a name may occur more than once."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs


class RawConstant:
    """A constant that JSON does not have: NaN, Infinity, -Infinity."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


async def read_body(request: Request, *, limit: int) -> bytes:
    """Read at most `limit` bytes; raises Invalid as soon as the body or its declared length exceeds the limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > limit:
        raise too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise too_large(limit)
    except ClientDisconnect:
        raise Invalid("The request's body is incomplete: the connection was closed.", code="invalid_json") from None
    return bytes(body)


def too_large(limit: int) -> Invalid:
    return Invalid(f"The request's body is larger than {limit:,} bytes.", code="request_too_large")


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; raises Invalid."""
    if not raw.strip():
        raise Invalid("The request's body is empty: expected a JSON object.", code="invalid_json")
    value = parsed(raw)
    if not isinstance(value, RawObject):
        raise Invalid("The request's body is not a JSON object.", code="invalid_json")
    return object_of(value.pairs, "", 1)


def parsed(raw: bytes) -> Raw:
    try:
        return json.loads(raw.decode(), object_pairs_hook=RawObject, parse_constant=RawConstant)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = f"is nested deeper than {DEPTH_LIMIT} levels"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except ValueError:
        problem = "has a number with too many digits"
    raise Invalid(f"The request's body {problem}.", code="invalid_json")


def value_of(raw: Raw, path: str, depth: int) -> Any:
    match raw:
        case RawObject():
            return object_of(raw.pairs, path, depth + 1)
        case list():
            return array_of(raw, path, depth + 1)
        case str():
            return text_of(raw, path)
        case RawConstant():
            raise invalid_json(path, f"{raw.name} is not a JSON number")
        case float() if not isfinite(raw):
            raise invalid_json(path, "the number is too large")
        case _:
            return raw


def object_of(pairs: Pairs, path: str, depth: int) -> dict[str, Any]:
    check_depth(path, depth)
    members: dict[str, Any] = {}
    for name, raw in pairs:
        where = joined(path, text_of(name, path))
        if name in members:
            raise invalid_json(where, "duplicate name in the object")
        if name in RESERVED_NAMES:
            raise invalid_json(where, "the name is reserved")
        members[name] = value_of(raw, where, depth)
    return members


def array_of(raw: list[Raw], path: str, depth: int) -> list[Any]:
    check_depth(path, depth)
    return [value_of(element, f"{path}[{index}]", depth) for index, element in enumerate(raw)]


def check_depth(path: str, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise invalid_json(path, f"nested deeper than {DEPTH_LIMIT} levels")


def text_of(text: str, path: str) -> str:
    """Return the text; raises Invalid for a lone surrogate, which UTF-8 cannot encode."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise invalid_json(path, "the text contains a lone surrogate") from None
    return text


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def path_of(steps: Iterable[str | int]) -> str:
    """Return a path in the API's notation: `input[0].content`."""
    path = ""
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else joined(path, step)
    return path


def invalid_json(path: str, problem: str) -> Invalid:
    field = shortened(path)
    return Invalid(f"Invalid '{field}': {problem}.", field=field or None, code="invalid_value")


def shortened(path: str) -> str:
    """Return a path for an error message: printable and short, because the caller chooses its names."""
    printable = "".join(character if character.isprintable() else "?" for character in path)
    return printable if len(printable) <= PATH_LIMIT else printable[:PATH_LIMIT] + "…"

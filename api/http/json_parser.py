"""Which value does a JSON text hold, where it is long, may take much memory, or is wrong?

`json.loads` holds the interpreter until it has read the whole text. This parser calls into C for one string or number
at a time, so that other threads run in between. It also counts what the values take while it makes them: those of
`[{},{},…` take 24 times the text.
"""

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

from api.http.json_path import path_of, shortened
from domain.errors import Invalid

DEPTH_LIMIT: Final = 64
RESERVED_NAMES: Final = frozenset({"__class__", "__module__", "__data__"})
"""Names that the durable SDK's JSON decoder turns into Python objects; a body must not contain them."""

CONTAINER_BYTES: Final = 152
MEMBER_BYTES: Final = 32
VALUE_BYTES: Final = 56
"""The memory of an object or array, of one more place in it, and of a number or short text (CPython 3.13)."""

BYTES_PER_CHARACTER: Final = 7
ALLOWANCE_BYTES: Final = 3_000_000
"""The values of a text of n characters may take 7 n + 3,000,000 bytes, besides the characters of its strings."""

VALUES_LIMIT: Final = 200_000
"""Twenty for each of 10,000 items. To free more at once would hold the interpreter for too long."""

SHORT: Final = 32
KEPT_LIMIT: Final = 1000
"""So many different strings of up to 32 characters are kept once, however often they occur."""

BLANKS: Final = re.compile(r"[ \t\n\r]*+")
CONSTANT: Final = re.compile(r"NaN|-?Infinity")
SURROGATE: Final = re.compile("[\ud800-\udfff]")
SEARCHED_AT_ONCE: Final = 1_000_000

DECODER: Final = json.JSONDecoder()


class JsonParser:
    """Reads one text. `position` is the index of the next unread character, `path` leads to the current value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.path: list[str | int] = []
        self.room = memory_for(text)
        self.values_left = VALUES_LIMIT
        self.kept: dict[str, str] = {}
        self.may_have_surrogates = "\\" in text and "\\u" in text

    def parse(self) -> Any:
        """Return the value of the whole text. Raises Invalid, and JSONDecodeError where it is not JSON."""
        value = self.value(self.next_character())
        if self.next_character():
            raise self.expected("Extra data")
        return value

    def next_character(self) -> str:
        """Return the next character that is not blank, or nothing at the end; it stays unread."""
        found = self.text[self.position : self.position + 1]
        if found > " " or not found:
            return found
        match = BLANKS.match(self.text, self.position)
        self.position = match.end() if match else self.position
        return self.text[self.position : self.position + 1]

    def value(self, first: str) -> Any:
        """Return the value that begins with the unread character `first`."""
        if first == '"':
            return self.string()
        if first == "{":
            return self.object()
        if first == "[":
            return self.array()
        return self.scalar()

    def object(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        path = self.path
        for first in self.places("}"):
            if first != '"':
                raise self.expected("Expecting property name enclosed in double quotes")
            name = self.string()
            path.append(name)
            check_name(name, members, path)
            self.skip(":", "Expecting ':' delimiter")
            members[name] = self.value(self.next_character())
            path.pop()
        return members

    def array(self) -> list[Any]:
        elements: list[Any] = []
        path = self.path
        for first in self.places("]"):
            path.append(len(elements))
            elements.append(self.value(first))
            path.pop()
        return elements

    def places(self, end: str) -> Iterator[str]:
        """Yield the first character of each member of an object or array, and read past its `end`."""
        if len(self.path) >= DEPTH_LIMIT:
            raise invalid_json(path_of(self.path), f"nested deeper than {DEPTH_LIMIT} levels")
        self.take(CONTAINER_BYTES)
        self.position += 1
        first = self.next_character()
        following = "" if first == end else ","
        while following == ",":
            self.take(MEMBER_BYTES)
            self.values_left -= 1
            yield first
            following = self.next_character()
            if following not in (",", end):
                raise self.expected("Expecting ',' delimiter")
            self.position += following == ","
            first = self.next_character()
        self.position += 1

    def skip(self, character: str, message: str) -> None:
        if self.next_character() != character:
            raise self.expected(message)
        self.position += 1

    def string(self) -> str:
        text, self.position = DECODER.raw_decode(self.text, self.position)
        if self.may_have_surrogates:
            check_surrogates(text, self.path)
        kept = self.kept.get(text) if len(text) <= SHORT else None
        if kept is not None:
            return kept
        self.take(VALUE_BYTES)
        if len(text) <= SHORT and len(self.kept) < KEPT_LIMIT:
            self.kept[text] = text
        return text

    def scalar(self) -> float | bool | None:
        constant = CONSTANT.match(self.text, self.position)
        if constant:
            raise invalid_json(path_of(self.path), f"{constant.group()} is not a JSON number")
        self.take(VALUE_BYTES)
        value, self.position = DECODER.raw_decode(self.text, self.position)
        check_number(value, self.path)
        return value

    def take(self, size: int) -> None:
        self.room -= size
        if self.room < 0 or self.values_left < 0:
            raise Invalid("The request's body has too many values for its length.", code="request_too_large")

    def expected(self, message: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(message, self.text, self.position)


def memory_for(text: str) -> int:
    """Return how many bytes the values of a text may take."""
    return BYTES_PER_CHARACTER * len(text) + ALLOWANCE_BYTES


def most_memory(text: str) -> int:
    """Return the bytes that the values of a text take at most: signs inside strings are counted too."""
    containers = text.count("{") + text.count("[")
    return containers * CONTAINER_BYTES + (containers + text.count(",")) * (MEMBER_BYTES + 2 * VALUE_BYTES)


def check_name(name: str, members: dict[str, Any], path: list[str | int]) -> None:
    """Raise Invalid for a name that occurs twice or is reserved; the path ends with it."""
    if name in members:
        raise invalid_json(path_of(path), "duplicate name in the object")
    if name in RESERVED_NAMES:
        raise invalid_json(path_of(path), "the name is reserved")


def check_number(value: object, path: list[str | int]) -> None:
    if isinstance(value, float) and not isfinite(value):
        raise invalid_json(path_of(path), "the number is too large")


def check_surrogates(text: str, path: list[str | int]) -> None:
    """Raise Invalid for a lone surrogate, which UTF-8 cannot encode."""
    if text.isascii():
        return
    for start in range(0, len(text), SEARCHED_AT_ONCE):
        if SURROGATE.search(text, start, start + SEARCHED_AT_ONCE):
            raise invalid_json(path_of(path), "the text contains a lone surrogate")


def invalid_json(path: str, problem: str) -> Invalid:
    field = shortened(path)
    return Invalid(f"Invalid '{field}': {problem}.", field=field or None, code="invalid_value")

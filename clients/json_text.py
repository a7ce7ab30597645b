"""How is JSON written where it may have texts of a megabyte, such as images?

`json.dumps` looks at every character, which takes some 3 ms for a megabyte. Here a long text without a character that
JSON escapes is copied. The result is the same.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, cast

LONG: Final = 10_000
"""A text of at least so many characters is written here and not by `json.dumps`."""

ESCAPED: Final = ("\n", '"', "\\", *(chr(code) for code in range(32) if code != ord("\n")))
ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
MARK: Final = "\0"
WRITTEN_MARK: Final = '"\\u0000"'


def json_text(value: Any) -> str:
    """Return JSON without blanks, and with every character of other scripts as it is.

    Raises ValueError for a number that is not finite, and RecursionError for a value that is nested too deep.
    """
    return "".join(json_pieces(value))


def json_bytes(value: Any) -> bytes:
    """Return the same in UTF-8. Raises ValueError for a lone surrogate, too."""
    return json_text(value).encode()


def json_pieces(value: Any) -> list[str]:
    """Return what together is the JSON of a value."""
    long: list[str] = []
    pieces = dumped(lifted(value, long)).split(WRITTEN_MARK)
    if len(pieces) != len(long) + 1:
        return [dumped(value)]
    joined = [pieces[0]]
    for text, following in zip(long, pieces[1:], strict=True):
        joined += ['"', *escaped(text), '"', following]
    return joined


def escaped(text: str) -> Iterator[str]:
    """Yield a long text as it stands in JSON; only blocks with a character that is escaped are written anew."""
    if is_plain(text):
        yield text
        return
    for start in range(0, len(text), LONG):
        block = text[start : start + LONG]
        yield block if is_plain(block) else dumped(block)[1:-1]


def dumped(value: Any) -> str:
    return ENCODER.encode(value)


def lifted(value: Any, long: list[str]) -> Any:
    """Return a value with a mark in the place of each long text, and add these to a list, in the order of the JSON."""
    if isinstance(value, str) and len(value) >= LONG:
        long.append(value)
        return MARK
    if isinstance(value, dict):
        return {name: lifted(member, long) for name, member in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [lifted(each, long) for each in cast("list[Any]", value)]
    return value


def is_plain(text: str) -> bool:
    """Return whether JSON escapes no character of a text."""
    return not any(character in text for character in ESCAPED)

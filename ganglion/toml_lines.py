"""In which line of a TOML file is the field that a problem names?"""

import re
from collections.abc import Iterator
from typing import Final

PART: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
PATH: Final = rf"{PART}(?:\s*\.\s*{PART})*"
HEADER: Final = re.compile(rf"^\s*\[\[?\s*({PATH})\s*\]\]?")
FIELD: Final = re.compile(rf"^\s*({PATH})\s*=")


def line_of(text: str, problem: str) -> int | None:
    """Return the number of the line with the longest part of the path at the beginning of a problem; None: no part.

    A field of an inline table is in the line of that table, and so is one that is missing.
    """
    path = problem.partition(": ")[0]
    found = [(len(name), number) for number, name in named_lines(text) if path == name or path.startswith(f"{name}.")]
    return max(found, key=lambda each: (each[0], -each[1]))[1] if found else None


def named_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line that begins a table or a field, with the whole path of it, without quotation marks."""
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := HEADER.match(line):
            table = plain(header[1])
            yield number, table
        elif field := FIELD.match(line):
            yield number, f"{table}.{plain(field[1])}" if table else plain(field[1])


def plain(path: str) -> str:
    return ".".join(part.strip("\"'") for part in re.findall(PART, path))

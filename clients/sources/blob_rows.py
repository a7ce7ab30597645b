"""How does the content of a blob become rows? As JSON, as CSV with a line of names, or as a text in parts."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, Final, cast

from clients.sources.port import Row, SourceError, rows_in
from domain.content.untrusted_text import json_line

PART: Final = 1200
"""Characters of one row of a text: where a text is too long for the turn, its first parts are read."""

MOST_CELLS: Final = 500_000
"""A short CSV can have more cells than fit into memory: each short line gets all columns. So can a list of numbers."""

TOO_MANY: Final = f"it has more than {MOST_CELLS} cells"

BY_ENDING: Final = {"json": "application/json", "csv": "text/csv", "txt": "text/plain", "md": "text/markdown"}
UNKNOWN: Final = frozenset({"", "application/octet-stream"})
"""What the service says where the writer has not named a type: the ending of the name tells it then."""

JSON: Final = "application/json"
CSV: Final = "text/csv"
TEXTS: Final = frozenset({"text/plain", "text/markdown"})


def kind_of(content_type: str | None, name: str) -> str:
    """Return the media type of a blob; raises SourceError for one that is not read."""
    given = (content_type or "").partition(";")[0].strip().lower()
    kind = BY_ENDING.get(name.rpartition(".")[2].lower(), given) if given in UNKNOWN else given
    if kind.endswith("+json"):
        return JSON
    if kind not in {JSON, CSV, *TEXTS}:
        raise SourceError(f"its content type is {printable(kind)}: text, JSON and CSV are read")
    return kind


def printable(kind: str) -> str:
    return "".join(sign for sign in kind[:80] if sign.isascii() and sign.isprintable()) or "not known"


def blob_rows(kind: str, data: bytes, path: Sequence[str]) -> Sequence[Row]:
    """Return the rows of a content; `path` leads to the list of rows in JSON. Raises SourceError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError("its content is not UTF-8") from None
    if kind == JSON:
        return json_rows(text, path)
    return csv_rows(text) if kind == CSV else text_rows(text)


def json_rows(text: str, path: Sequence[str]) -> Sequence[Row]:
    if path:
        return rows_in(text.encode(), path)
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise SourceError("its content is not JSON") from None
    listed = cast("list[Any]", found) if isinstance(found, list) else [found]
    if len(listed) > MOST_CELLS:
        raise SourceError(TOO_MANY)
    return [cast("Row", each) if isinstance(each, dict) else {"value": each} for each in listed]


def csv_rows(text: str) -> Sequence[Row]:
    rows: list[Row] = []
    cells = 0
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), restkey="more", restval=""):
            rows.append(row)
            cells += len(row)
            if cells > MOST_CELLS:
                raise SourceError(TOO_MANY)
    except csv.Error:
        raise SourceError("its content is not CSV") from None
    return rows


def text_rows(text: str) -> Sequence[Row]:
    return [{"part": at // PART + 1, "text": text[at : at + PART]} for at in range(0, len(text), PART)]


def matching(rows: Sequence[Row], words: Sequence[str]) -> Sequence[Row]:
    """Return the rows that have one of the words, those with most of them first. Raises SourceError."""
    try:
        texts = [json_line(row).casefold() for row in rows]
    except RecursionError:
        raise SourceError("its rows are nested too deeply") from None
    counted = [(sum(word in text for word in words), row) for text, row in zip(texts, rows, strict=True)]
    return [row for count, row in sorted(counted, key=lambda each: -each[0]) if count]

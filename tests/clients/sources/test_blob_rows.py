"""Does the content of a blob become rows, and is what can't be read refused with a reason?"""

import pytest

from clients.sources.blob_rows import PART, blob_rows, kind_of, matching
from clients.sources.port import SourceError


@pytest.mark.parametrize(
    ("kind", "data", "path", "rows"),
    [
        ("application/json", b'[{"id": 1}, 2]', (), [{"id": 1}, {"value": 2}]),
        ("application/json", b'{"id": 1}', (), [{"id": 1}]),
        ("application/json", b'{"a": {"rows": [{"id": 1}]}}', ("a", "rows"), [{"id": 1}]),
        ("text/csv", b'\xef\xbb\xbfid,n\r\n1,"a\r\nb"\r\n', (), [{"id": "1", "n": "a\r\nb"}]),
        ("text/plain", b"hello", (), [{"part": 1, "text": "hello"}]),
        ("text/plain", b"", (), []),
    ],
)  # fmt: skip
def test_a_content_becomes_rows(kind: str, data: bytes, path: tuple[str, ...], rows: list[object]) -> None:
    assert list(blob_rows(kind, data, path)) == rows


def test_a_long_text_is_cut_into_rows_and_nothing_is_lost() -> None:
    text = "größer " * 1000
    rows = blob_rows("text/markdown", text.encode(), ())
    assert "".join(row["text"] for row in rows) == text
    assert {len(row["text"]) for row in rows[:-1]} == {PART}


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("application/json", b"{", "not JSON"),
        ("application/json", b"[" * 200_000, "not JSON"),
        ("text/plain", b"\xff\xfe", "not UTF-8"),
        ("text/csv", b"a\n" + b"x" * 200_000, "not CSV"),
        ("text/csv", ",".join(f"c{n}" for n in range(1000)).encode() + b"\nx" * 1000, "more than 500000 cells"),
        ("application/json", b"[" + b"0," * 500_000 + b"0]", "more than 500000 cells"),
    ],
)
def test_what_is_not_what_it_says_is_refused(kind: str, data: bytes, why: str) -> None:
    with pytest.raises(SourceError, match=why):
        blob_rows(kind, data, ())


@pytest.mark.parametrize(
    ("given", "name", "kind"),
    [
        ("application/json; charset=utf-8", "a", "application/json"),
        ("application/vnd.shop+json", "a", "application/json"),
        ("Text/CSV", "a", "text/csv"),
        ("application/octet-stream", "a.JSON", "application/json"),
        (None, "a.md", "text/markdown"),
    ],
)
def test_the_type_decides_and_then_the_ending(given: str | None, name: str, kind: str) -> None:
    assert kind_of(given, name) == kind


@pytest.mark.parametrize(("given", "name"), [("image/png", "a.txt"), (None, "a.exe"), ("text/html", "a.txt"), ("", "")])
def test_any_other_type_is_refused_by_name(given: str | None, name: str) -> None:
    with pytest.raises(SourceError, match=r"its content type is .*: text, JSON and CSV are read"):
        kind_of(given, name)


def test_rows_that_are_nested_too_deeply_are_refused_where_words_are_looked_for() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(SourceError, match="nested too deeply"):
        matching([{"a": nested}], ["word"])

"""Is each version of a document read once, and never one version for another?"""

from collections.abc import Mapping
from typing import Any

import pytest

from clients.storage.port import Document
from state.fleet import state_documents
from state.fleet.state_documents import ReadOnce


class Reader:
    """Counts what it reads."""

    def __init__(self) -> None:
        self.reads = 0

    def number(self, body: Mapping[str, Any]) -> int:
        self.reads += 1
        return 10 // int(body["n"])


def document(identifier: str, etag: str, n: int) -> Document:
    return Document(id=identifier, body={"n": n}, etag=etag)


def test_a_version_is_read_once_and_the_next_one_anew() -> None:
    reader = Reader()
    read = ReadOnce(reader.number)
    found = [read(document("a", "1", 1)), read(document("a", "1", 1)), read(document("a", "2", 2))]
    assert (found, reader.reads) == ([10, 10, 5], 2)
    assert (read(document("b", "2", 5)), read(None), reader.reads) == (2, None, 3)


def test_a_damaged_version_hides_no_earlier_or_later_one() -> None:
    read = ReadOnce(Reader().number)
    assert [read(document("a", etag, n)) for etag, n in (("1", 1), ("2", 0), ("3", 2))] == [10, None, 5]


def test_it_keeps_no_more_documents_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_documents, "MOST_KEPT", 3)
    reader = Reader()
    read = ReadOnce(reader.number)
    assert [read(document(f"part {number}", "1", 5)) for number in range(7)] == [2] * 7
    assert len(read.latest) <= 3
    assert (read(document("part 6", "1", 5)), reader.reads) == (2, 7)

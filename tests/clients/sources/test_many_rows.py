"""Do many rows of one source hold up the other turns of the process?"""

from collections.abc import Iterator, Sequence
from threading import get_ident

import pytest

from clients.sources.port import Row
from clients.sources.reader import MANY_ROWS, SourceReader
from domain.identity.owners import Owner
from domain.sources.catalog import Source, SourceKind, SourceQuery, Sources
from tests.fakes.clocks import FakeClock


class WatchedRows(list[Row]):
    """Notes which thread goes through the rows, and how many it looks at."""

    thread = 0
    seen = 0

    def __iter__(self) -> Iterator[Row]:
        self.thread = get_ident()
        for row in super().__iter__():
            self.seen += 1
            yield row


class Given:
    """Returns the same rows, whatever is asked."""

    def __init__(self, rows: WatchedRows) -> None:
        self.given = rows

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Row]:
        return self.given


@pytest.mark.parametrize(("number", "in_thread"), [(MANY_ROWS, False), (MANY_ROWS + 1, True)])
async def test_many_rows_are_measured_in_a_thread_and_no_more_than_are_kept(number: int, *, in_thread: bool) -> None:
    rows = WatchedRows({"id": each} for each in range(number))
    known = Sources(known={"orders": Source(name="orders", kind=SourceKind.HTTP)})
    reader = SourceReader(known, {SourceKind.HTTP: Given(rows)}, FakeClock())
    [fetched] = await reader.read(["orders"], Owner(tenant="t", subject="user:1"), "?")
    assert (len(fetched.rows), fetched.left_out) == (20, number - 20)
    assert (rows.thread != get_ident()) == in_thread
    assert rows.seen <= 21

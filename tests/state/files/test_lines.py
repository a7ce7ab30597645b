"""Are the lines of a file found wherever its parts are cut?"""

from collections.abc import AsyncIterator
from typing import override

import pytest

from domain.files.stored_file import StoredFile
from domain.identity.owners import Owner
from state.files.file_store import FileStore
from state.files.lines import BYTE_ORDER_MARK, KEPT_PARTS, FileLine, FileLines
from state.files.parts import PART_BYTES
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER


class OneFile(FileStore):
    """A store of one file, whose content comes in pieces of `cut` bytes; counts the reads."""

    def __init__(self, data: bytes, cut: int = PART_BYTES) -> None:
        clock = FakeClock()
        super().__init__(MemoryStore(clock), clock)
        self.data = data
        self.cut = cut
        self.reads = 0

    @override
    async def content(self, owner: Owner, stored: StoredFile, first: int, end: int) -> AsyncIterator[bytes]:
        self.reads += 1
        for start in range(first, end, self.cut):
            yield self.data[start : min(start + self.cut, end)]


def stored(data: bytes) -> StoredFile:
    return StoredFile(id="file_1", thread="t", filename="a", purpose="batch", size=len(data), digest="", created_at=0.0)


async def lines(data: bytes, *, cut: int, limit: int = 100) -> list[FileLine]:
    return [each async for each in FileLines(OneFile(data, cut)).each(OWNER, stored(data), limit=limit)]


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (b"\n", [FileLine(0, b"")]),
        (b"ab\n\ncd", [FileLine(0, b"ab"), FileLine(3, b""), FileLine(4, b"cd")]),
        (b"ab\r\ncd\n", [FileLine(0, b"ab\r"), FileLine(4, b"cd")]),
        (BYTE_ORDER_MARK + b"ab\n" + BYTE_ORDER_MARK, [FileLine(3, b"ab"), FileLine(6, BYTE_ORDER_MARK)]),
    ],
)
async def test_each_line_has_its_place(data: bytes, found: list[FileLine], cut: int) -> None:
    assert await lines(data, cut=cut) == found


@pytest.mark.parametrize("cut", [1, 4, 1000])
async def test_a_line_beyond_the_limit_has_no_content_and_the_next_one_is_read(cut: int) -> None:
    found = await lines(b"abc\nabcd\nab\nabcdef", cut=cut, limit=3)
    assert found == [FileLine(0, b"abc"), FileLine(4, None), FileLine(9, b"ab"), FileLine(12, None)]


async def test_a_range_is_read_over_the_borders_of_parts_and_parts_are_kept() -> None:
    data = bytes(range(256)) * (PART_BYTES // 256 * 2) + b"end"
    files = OneFile(data)
    reader = FileLines(files)
    for start, end in ((0, 5), (PART_BYTES - 3, PART_BYTES + 3), (2 * PART_BYTES - 1, len(data)), (7, 7)):
        assert await reader.read(OWNER, stored(data), start, end) == data[start:end]
    assert files.reads == 3


async def test_only_the_last_parts_are_kept() -> None:
    data = bytes(PART_BYTES * (KEPT_PARTS + 1))
    files = OneFile(data)
    reader = FileLines(files)
    for number in (*range(KEPT_PARTS), 0, KEPT_PARTS, 0):
        await reader.part(OWNER, stored(data), number)
    assert files.reads == KEPT_PARTS + 1
    await reader.part(OWNER, stored(data), 1)
    assert files.reads == KEPT_PARTS + 2

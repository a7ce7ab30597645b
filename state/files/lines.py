"""How are the lines of a file read, one after the other or a single one?"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

from domain.files.stored_file import StoredFile
from domain.identity.owners import Owner
from state.files.file_store import FileStore
from state.files.parts import PART_BYTES

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""Some programs write it before the first line. It says only that the file is UTF-8, and is no part of the line."""

KEPT_PARTS: Final = 16
"""The parts of files that a process keeps, 4 MiB: the lines of a chunk are beside each other."""


class FileLine(NamedTuple):
    """A line without its end: where it begins in the file, and its bytes; None where it is longer than the limit."""

    start: int
    content: bytes | None


class FileLines:
    """Reads lines. Parts of files never change, so the last ones are kept."""

    def __init__(self, files: FileStore) -> None:
        self.files = files
        self.parts: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    async def each(self, owner: Owner, stored: StoredFile, *, limit: int) -> AsyncIterator[FileLine]:
        """Yield the lines of a file; at most `limit` bytes of one, and a part, are in memory."""
        start, position, line, is_long = 0, 0, bytearray(), False
        async for content in self.files.content(owner, stored, 0, stored.size):
            pieces = content.split(b"\n")
            for number, piece in enumerate(pieces):
                position += len(piece)
                is_long = is_long or len(line) + len(piece) > limit
                line += b"" if is_long else piece
                if number < len(pieces) - 1:
                    yield line_at(start, None if is_long else bytes(line))
                    position += 1
                    start, line, is_long = position, bytearray(), False
        if position > start:
            yield line_at(start, None if is_long else bytes(line))

    async def read(self, owner: Owner, stored: StoredFile, start: int, end: int) -> bytes:
        """Return the bytes from `start` until before `end`; raises Unavailable where the file is deleted meanwhile."""
        first, last = start // PART_BYTES, max(end - 1, start) // PART_BYTES
        content = b"".join([await self.part(owner, stored, number) for number in range(first, last + 1)])
        return content[start - first * PART_BYTES : end - first * PART_BYTES]

    async def part(self, owner: Owner, stored: StoredFile, number: int) -> bytes:
        name = (stored.thread, number)
        if name in self.parts:
            self.parts.move_to_end(name)
            return self.parts[name]
        first = number * PART_BYTES
        pieces = self.files.content(owner, stored, first, min(first + PART_BYTES, stored.size))
        self.parts[name] = b"".join([piece async for piece in pieces])
        if len(self.parts) > KEPT_PARTS:
            self.parts.popitem(last=False)
        return self.parts[name]


def line_at(start: int, content: bytes | None) -> FileLine:
    """Return a line of a file; the first one begins after the byte order mark."""
    if start or content is None or not content.startswith(BYTE_ORDER_MARK):
        return FileLine(start, content)
    return FileLine(len(BYTE_ORDER_MARK), content.removeprefix(BYTE_ORDER_MARK))

"""Where do tests keep the contents of large files? In memory, as a blob storage would."""

from collections.abc import AsyncIterator

from clients.storage.port import DocumentKey
from domain.errors import NotFound, Unavailable

PART_BYTES = 4096


class MemoryContents:
    """Blocks can't be read before they are complete, and stay until they are deleted."""

    part_bytes = PART_BYTES

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, ...], dict[int, bytes]] = {}
        self.whole: dict[tuple[str, ...], bytes] = {}

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None:
        self.blocks.setdefault(key.parts, {})[number] = content

    async def complete(self, key: DocumentKey, parts: int) -> None:
        staged = self.blocks.get(key.parts, {})
        if staged.keys() != set(range(parts)):
            raise Unavailable("Parts of the file were deleted while it was uploaded.")
        self.blocks.pop(key.parts, None)
        self.whole[key.parts] = b"".join(staged[number] for number in range(parts))

    async def read(self, key: DocumentKey, first: int, end: int) -> AsyncIterator[bytes]:
        if key.parts not in self.whole:
            raise NotFound("The content of the file is gone.")
        for start in range(first, end, PART_BYTES):
            yield self.whole[key.parts][start : min(start + PART_BYTES, end)]

    async def delete(self, key: DocumentKey) -> None:
        self.blocks.pop(key.parts, None)
        self.whole.pop(key.parts, None)

    async def close(self) -> None: ...

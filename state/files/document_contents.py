"""How are the contents of files kept in the document store?"""

from collections.abc import AsyncIterator

from clients.storage.paging import write_batches
from clients.storage.port import Delete, DocumentKey, DocumentStore
from domain.errors import NotFound
from state.files.parts import PART_BYTES, PARTS, content_of, part, part_id

CLEARED_AT_ONCE = 8
"""Documents of a file's content that are read to be deleted: each has up to 350 KB."""


class DocumentContents:
    """Keeps each part of a content as a document."""

    part_bytes = PART_BYTES

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None:
        await self.store.commit(key, (part(number, content),))

    async def complete(self, key: DocumentKey, parts: int) -> None:
        """Do nothing: every part has been stored."""

    async def read(self, key: DocumentKey, first: int, end: int) -> AsyncIterator[bytes]:
        for number in range(first // PART_BYTES, -(-end // PART_BYTES)):
            document = await self.store.read(key, part_id(number))
            if document is None:
                raise NotFound("The content of the file is gone.")
            start = number * PART_BYTES
            yield content_of(document)[max(first - start, 0) : end - start]

    async def delete(self, key: DocumentKey) -> None:
        after = ""
        while documents := await self.store.list(key, prefix=PARTS, after=after, limit=CLEARED_AT_ONCE):
            await write_batches(self.store, key, [Delete(id=each.id) for each in documents])
            after = documents[-1].id

    async def close(self) -> None:
        """Do nothing: whoever opened the store closes it."""

"""How is more of a partition read or written than one call of the store allows?"""

import asyncio
from collections.abc import Sequence
from typing import cast

from clients.storage.batching import batches
from clients.storage.compare_and_swap import create_once
from clients.storage.port import Create, Document, DocumentKey, DocumentStore, Operation

PAGE = 1000


async def list_all(
    store: DocumentStore, key: DocumentKey, *, prefix: str, after: str = "", before: str = "", size: int = PAGE
) -> Sequence[Document]:
    """Return all documents whose id starts with `prefix` and is between `after` and `before`, if they are given.

    `size` documents are read at a time.
    """
    documents: list[Document] = []
    while True:
        page = await store.list(key, prefix=prefix, after=after, limit=size)
        documents += [document for document in page if not before or document.id < before]
        if len(page) < size or (before and page[-1].id >= before):
            return documents
        after = page[-1].id


async def read_many(store: DocumentStore, key: DocumentKey, identifiers: Sequence[str]) -> Sequence[Document | None]:
    """Read documents by their ids, in parallel."""
    return await asyncio.gather(*(store.read(key, identifier) for identifier in identifiers))


async def create_missing(store: DocumentStore, key: DocumentKey, operations: Sequence[Create]) -> None:
    """Create the documents that do not exist yet, in batches; one by one where some exist. Safe to repeat."""
    for batch in batches(operations):
        creates = cast("Sequence[Create]", batch)
        if not await create_once(store, key, *creates):
            for create in creates:
                await create_once(store, key, create)


async def write_batches(store: DocumentStore, key: DocumentKey, operations: Sequence[Operation]) -> None:
    """Write in as many commits as needed; for changes that may stay incomplete and are safe to repeat."""
    for batch in batches(operations):
        await store.commit(key, batch)

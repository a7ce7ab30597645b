"""How is more of a partition read or written than one call of the store takes?"""

import asyncio
from collections.abc import Sequence

from clients.storage.batching import batches
from clients.storage.port import Create, Document, DocumentKey, DocumentStore, Operation
from domain.errors import Conflict

PAGE = 1000


async def everything(
    store: DocumentStore, key: DocumentKey, *, prefix: str, after: str = "", before: str = "", size: int = PAGE
) -> Sequence[Document]:
    """Return all documents whose id starts with `prefix` and lies between `after` and (where given) `before`.

    So many of them as `size` are read at a time.
    """
    documents: list[Document] = []
    while True:
        page = await store.list(key, prefix=prefix, after=after, limit=size)
        documents += [document for document in page if not before or document.id < before]
        if len(page) < size or (before and page[-1].id >= before):
            return documents
        after = page[-1].id


async def some(store: DocumentStore, key: DocumentKey, identifiers: Sequence[str]) -> Sequence[Document | None]:
    """Read documents by their ids, at once."""
    return await asyncio.gather(*(store.read(key, identifier) for identifier in identifiers))


async def create_each(store: DocumentStore, key: DocumentKey, operations: Sequence[Create]) -> None:
    """Create what is not there yet; safe to repeat."""
    for operation in operations:
        try:
            await store.commit(key, (operation,))
        except Conflict:
            continue


async def write(store: DocumentStore, key: DocumentKey, operations: Sequence[Operation]) -> None:
    """Write in as many commits as it takes: for what is safe to leave half done and to repeat."""
    for batch in batches(operations):
        await store.commit(key, batch)

"""Which threads does an owner have? Kept so that all that belongs to an owner can be found and erased."""

from clients.storage.keys import book_key, thread_id
from clients.storage.port import Create, DocumentStore
from domain.errors import Conflict
from domain.identity.owners import Owner


async def register(store: DocumentStore, owner: Owner, thread: str, *, at: float) -> None:
    """Note a thread before anything is written to it; safe to repeat."""
    body = {"kind": "thread", "v": 1, "at": at}
    try:
        await store.commit(book_key(owner), (Create(id=thread_id(thread), body=body),))
    except Conflict:
        return

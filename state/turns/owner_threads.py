"""Which threads does an owner have? The index makes everything of an owner findable, so that it can be erased."""

from clients.storage.compare_and_swap import create_once
from clients.storage.keys import owner_index_key, thread_id
from clients.storage.port import Create, DocumentStore
from domain.identity.owners import Owner


async def register_thread(store: DocumentStore, owner: Owner, thread: str, *, at: float) -> None:
    """Add a thread to the owner's index before anything is written to the thread. Safe to repeat."""
    body = {"kind": "thread", "v": 1, "at": at}
    await create_once(store, owner_index_key(owner), Create(id=thread_id(thread), body=body))

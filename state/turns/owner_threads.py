"""Which threads and conversations does an owner have?

The index of an owner makes everything of the owner findable, so that it can be listed and erased.
"""

from clients.storage.compare_and_swap import create_once
from clients.storage.keys import CONVERSATIONS, owner_index_key, thread_id
from clients.storage.port import Create, DocumentStore
from domain.identity.owners import Owner
from state.time_index import time_entry_id


async def register_conversation(
    store: DocumentStore, owner: Owner, conversation: str, *, thread: str, at: float
) -> None:
    """Add a conversation and its thread to the owner's index before the conversation is written. Safe to repeat."""
    own = Create(id=thread_id(thread), body={"kind": "thread", "v": 1, "at": at})
    listed = {"kind": "listed_conversation", "v": 1, "at": at, "conversation": conversation}
    entry = Create(id=time_entry_id(CONVERSATIONS, at, conversation), body=listed)
    await create_once(store, owner_index_key(owner), own, entry)

"""How does a turn lock its conversation, and what does it write there when it ends?"""

from clients.storage.keys import conversation_key, entry_id
from clients.storage.port import Create, Document, DocumentStore, Operation, Replace
from domain.errors import NotFound
from domain.log.events import ResponseStatus
from domain.turns.conversations import Conversation
from domain.turns.response import Response
from state.turns.conversations import entry_document, locked_error

KEPT = (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE)
"""A turn that ended with one of these statuses belongs to its conversation."""


async def lock_operations(store: DocumentStore, response: Response) -> tuple[Operation, ...]:
    """Return what locks the response's conversation, to be committed with the response.

    Raises Invalid (conversation_locked) where another response has the lock, or had it after this response's history
    was read; raises NotFound where the conversation does not exist.
    """
    found = await conversation_of(store, response)
    if found is None:
        if response.history.conversation:
            raise NotFound.by_id("Conversation", response.history.conversation)
        return ()
    conversation = Conversation.from_document(found.id, found.body)
    if conversation.running or conversation.next_entry != response.history.reads_before:
        raise locked_error(conversation)
    return (Replace(id=found.id, body=conversation.locked(response.id).to_document(), etag=found.etag),)


async def unlock_operations(store: DocumentStore, ended: Response) -> tuple[Operation, ...]:
    """Return what unlocks the conversation of a turn that has ended; a turn that is kept adds its items there."""
    found = await conversation_of(store, ended)
    if found is None or found.body["running"] != ended.id:
        return ()
    conversation = Conversation.from_document(found.id, found.body)
    released = conversation.released()
    if not belongs_to_conversation(ended) or ended.progress.ended_at is None:
        return (Replace(id=found.id, body=released.to_document(), etag=found.etag),)
    entry = entry_document([*ended.input_items, *ended.progress.output_items], at=ended.progress.ended_at)
    return (
        Replace(id=found.id, body=released.with_new_entry(lasting_items(ended)).to_document(), etag=found.etag),
        Create(id=entry_id(conversation.next_entry), body=entry),
    )


def lasting_items(ended: Response) -> tuple[str, ...] | None:
    """Return the ids of a turn's own input items that every later turn reads; None for turns without this record."""
    if ended.history.index is None:
        return None
    return tuple(name for name in ended.history.index.lasting if name in ended.input_items)


def belongs_to_conversation(ended: Response) -> bool:
    """Return whether the items of a turn that has ended belong to its conversation."""
    return bool(ended.history.conversation) and ended.options.store and ended.status in KEPT


async def conversation_of(store: DocumentStore, response: Response) -> Document | None:
    if response.history.conversation is None:
        return None
    return await store.read(
        conversation_key(response.owner, response.history.conversation), response.history.conversation
    )

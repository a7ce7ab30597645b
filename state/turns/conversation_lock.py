"""How does a turn lock its conversation, and what does it write there when it ends?"""

from clients.storage.compare_and_swap import commit_if_unchanged
from clients.storage.damage import read_or_none
from clients.storage.keys import conversation_key, entry_id, response_key
from clients.storage.port import Create, Document, DocumentStore, Operation, Replace
from domain.errors import NotFound
from domain.ids import thread_of
from domain.log.events import ResponseStatus
from domain.turns.conversations import Conversation
from domain.turns.response import Response
from state.turns.conversations import entry_document, locked_error

KEPT = (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE)
"""A turn that ended with one of these statuses belongs to its conversation."""

MOST_FOLLOWERS = 100
"""How many turns the end of one turn wakes at most."""


async def lock_operations(store: DocumentStore, response: Response) -> tuple[Operation, ...]:
    """Return what locks the response's conversation, to be committed with the response.

    A turn that waits joins the queue instead. Raises Locked where another response has the lock, or had it after this
    response's history was read; raises NotFound where the conversation does not exist.
    """
    found = await conversation_of(store, response)
    if found is None:
        if response.history.conversation:
            raise NotFound.by_id("Conversation", response.history.conversation)
        return await follow_operations(store, response)
    conversation = found.read_with_id(Conversation.from_document)
    if response.history.waits_for:
        queued = conversation.with_waiting(response.id)
        return (Replace(id=found.id, body=queued.to_document(), etag=found.etag),)
    if not conversation.is_free_for(response.id) or conversation.next_entry != response.history.reads_before:
        raise locked_error(conversation)
    locked = conversation.locked(response.id).tainted(by=response.options.tool_config.is_tainted)
    return (Replace(id=found.id, body=locked.to_document(), etag=found.etag),)


async def follow_operations(store: DocumentStore, response: Response) -> tuple[Operation, ...]:
    """Return what makes the end of the turn before it wake a turn that waits outside of a conversation.

    Turns of another partition, and those beyond MOST_FOLLOWERS, look for themselves.
    """
    before = response.history.waits_for
    if before is None or thread_of(before) != response.thread:
        return ()
    found = await store.read(response_key(response.owner, before), before)
    running = found.read_with_id(Response.from_document) if found else None
    if found is None or running is None or running.status.is_terminal:
        return ()
    if len(running.progress.followers) >= MOST_FOLLOWERS:
        return ()
    return (Replace(id=found.id, body=running.with_follower(response.id).to_document(), etag=found.etag),)


async def enter_conversation(store: DocumentStore, found: Document, planned: Response) -> bool:
    """Let a turn that waited begin: store what it reads, and lock its conversation; `found` is its stored document.

    Returns False where the turn or its conversation has changed; raises Locked where another turn is before it.
    """
    head = Replace(id=found.id, body=planned.to_document(), etag=found.etag)
    operations = (head, *await lock_operations(store, planned))
    return await commit_if_unchanged(store, response_key(planned.owner, planned.id), operations)


async def unlock_operations(store: DocumentStore, ended: Response) -> tuple[Operation, ...]:
    """Return what unlocks the conversation of a turn that has ended; a turn that is kept adds its items there.

    A turn that ended while it waited leaves the queue.
    """
    found = await conversation_of(store, ended)
    if found is None:
        return ()
    conversation = found.read_with_id(Conversation.from_document)
    if ended.id in conversation.waiting:
        return (Replace(id=found.id, body=conversation.without_waiting(ended.id).to_document(), etag=found.etag),)
    if conversation.running != ended.id:
        return ()
    released = conversation.released()
    if not belongs_to_conversation(ended) or ended.progress.ended_at is None:
        return (Replace(id=found.id, body=released.to_document(), etag=found.etag),)
    entry = entry_document([*ended.input_items, *ended.progress.output_items], at=ended.progress.ended_at)
    return (
        Replace(id=found.id, body=released.with_new_entry(lasting_items(ended)).to_document(), etag=found.etag),
        Create(id=entry_id(conversation.next_entry), body=entry),
    )


async def next_in_line(store: DocumentStore, ended: Response) -> tuple[str, ...]:
    """Return the followers of a turn that has ended, and the first in the line of its conversation.

    They may begin now. No turn of a conversation may that is gone or damaged, or that another turn has.
    """
    found = await conversation_of(store, ended)
    conversation = read_or_none(found, lambda each: each.read_with_id(Conversation.from_document))
    first = conversation.waiting[:1] if conversation and conversation.running is None else ()
    return (*ended.progress.followers, *first)


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

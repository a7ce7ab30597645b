"""How is what was said forgotten?

First a note is left of what is to be cleared; then it is cleared, here or, if that is cut short, by the timer. Slots
are emptied and stay for a day: a writer that is still at it finds them taken and stops, instead of writing where nobody
would clear.
"""

import logging
from collections.abc import Iterator, Sequence

from clients.announcements import is_announcement
from clients.clock import Clock
from clients.expiries import DUE, EXPIRY, expiry
from clients.partitions import create_each, everything, write
from clients.store import Container, Delete, Document, Key, Operation, Replace, Store
from clients.takings import belongs_to_conversation
from clients.threads import threads_of
from clients.turn_keys import (
    book_key,
    conversation_key,
    expiry_id,
    given_prefix,
    response_key,
    route_prefix,
    slot_prefix,
    thread_id,
    turns_key,
)
from clients.turns import Turns
from domain.conversations import Conversation
from domain.errors import Conflict, GanglionError, NotFound
from domain.ids import is_response
from domain.log import EMPTIED_BY, Slot, Status
from domain.owners import Owner
from domain.turns import Response

log = logging.getLogger(__name__)

EMPTIED_S = 86_400
SLOTS = "slot_"
CLAIMS = "claim_"
NOTES = (EXPIRY,)


class Retention:
    """Deletes responses, conversations and owners, and clears what is due. Every step is safe to repeat."""

    def __init__(self, store: Store, turns: Turns, clock: Clock) -> None:
        self.store = store
        self.turns = turns
        self.clock = clock

    async def delete_response(self, owner: Owner, response_id: str) -> Response:
        """Delete a response, its log and the items that are no conversation's; cancels it first.

        Returns it as it ended; raises NotFound.
        """
        ended = await self.turns.finish(owner, response_id, status=Status.CANCELLED)
        await create_each(
            self.store, response_key(owner, response_id), (expiry(owner, response_id, at=self.clock.now()),)
        )
        await self.clear_response(ended)
        return ended

    async def clear_response(self, ended: Response) -> None:
        key = response_key(ended.owner, ended.id)
        kept = set(ended.input_items + ended.output_items) if belongs_to_conversation(ended) else set[str]()
        items = [name for name in (*ended.input_items, *ended.output_items) if name not in kept]
        await write(self.store, key, [Delete(id=name) for name in items])
        for prefix in (given_prefix(ended.id), route_prefix(ended.id), slot_prefix(ended.id)):
            await self.clear(key, await everything(self.store, key, prefix=prefix))
        await write(self.store, key, [Delete(id=ended.id), Delete(id=expiry_id(ended.id))])

    async def delete_conversation(self, owner: Owner, identifier: str) -> str | None:
        """Delete a conversation with its items and responses; returns the response that was cancelled for it, if any.

        Raises NotFound.
        """
        cancelled: str | None = None
        while True:
            found = await self.turns.conversations.document(owner, identifier)
            running = Conversation.from_document(identifier, found.body).running
            if running:
                await self.turns.finish(owner, running, status=Status.CANCELLED)
                cancelled = running
            elif await self.noted(owner, found):
                await self.clear_thread(conversation_key(owner, identifier))
                return cancelled

    async def noted(self, owner: Owner, conversation: Document) -> bool:
        """Delete the conversation's own document and note what is to be cleared; False where it has changed."""
        note = expiry(owner, conversation.id, at=self.clock.now())
        try:
            await self.store.commit(
                conversation_key(owner, conversation.id), (Delete(id=conversation.id, etag=conversation.etag), note)
            )
        except Conflict:
            return False
        return True

    async def clear_thread(self, key: Key) -> None:
        """Clear all of a thread, what notes it last; what is still to be told of its turns goes when it is told."""
        documents = [each for each in await everything(self.store, key, prefix="") if not is_announcement(each)]
        notes = [document for document in documents if document.body.get("kind") in NOTES]
        await self.clear(key, [document for document in documents if document not in notes])
        await self.clear(key, notes)

    async def clear(self, key: Key, documents: Sequence[Document]) -> None:
        await write(self.store, key, list(self.clearing(documents)))

    def clearing(self, documents: Sequence[Document]) -> Iterator[Operation]:
        for document in documents:
            if not document.id.startswith(SLOTS):
                yield Delete(id=document.id)
            elif document.body["writer"] != EMPTIED_BY:
                yield self.emptied(document)

    def emptied(self, document: Document) -> Replace:
        slot = Slot.from_document(document.body)
        bare = Slot(number=slot.number, writer=EMPTIED_BY, first=slot.first, at=self.clock.now())
        forgotten_at = self.clock.now() + EMPTIED_S
        return Replace(id=document.id, body=bare.to_document(), etag=document.etag, expires_at=forgotten_at)

    async def clear_due(self) -> int:
        """Clear what is due, of all owners: the timer's question. Returns how many notes it followed."""
        due = await self.store.find(Container.TURNS, kind=EXPIRY, status=DUE, before=self.clock.now())
        for found in due:
            body = found.document.body
            try:
                await self.clear_noted(Owner(tenant=body["tenant"], subject=body["subject"]), body["of"])
            except GanglionError as error:
                log.warning("could not clear %s, which is due: %s", body["of"], error)
        return len(due)

    async def clear_noted(self, owner: Owner, identifier: str) -> None:
        if not is_response(identifier):
            await self.clear_thread(conversation_key(owner, identifier))
            return
        try:
            ended = await self.turns.read(owner, identifier)
        except NotFound:
            await write(self.store, response_key(owner, identifier), [Delete(id=expiry_id(identifier))])
        else:
            await self.clear_response(ended)

    async def erase(self, owner: Owner) -> tuple[str, ...]:
        """Clear all that an owner ever said; returns the responses that were cancelled for it.

        What remains are amounts: what his turns cost, without content, in the books of his tenant.
        """
        cancelled: list[str] = []
        for thread in await threads_of(self.store, owner):
            cancelled += await self.erase_thread(owner, thread)
            await write(self.store, book_key(owner), [Delete(id=thread_id(thread))])
        claims = await everything(self.store, book_key(owner), prefix=CLAIMS)
        await self.clear(book_key(owner), claims)
        return tuple(cancelled)

    async def erase_thread(self, owner: Owner, thread: str) -> Sequence[str]:
        key = turns_key(owner, thread)
        documents = await everything(self.store, key, prefix="resp_")
        running = [d.id for d in documents if not Response.from_document(d.id, d.body).status.terminal]
        for response_id in running:
            await self.turns.finish(owner, response_id, status=Status.CANCELLED)
        await self.clear_thread(key)
        return running

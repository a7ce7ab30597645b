"""How is a thread cleared, and how are documents, so that a writer that is still at it stops?

Slots are emptied and stay for a day: the writer finds them taken, instead of writing where nobody would clear.
"""

import contextlib
from collections.abc import Iterator, Sequence

from clients.clock import Clock
from clients.storage.keys import turns_key
from clients.storage.paging import list_all, write_batches
from clients.storage.port import Delete, Document, DocumentKey, DocumentStore, Operation, Replace
from domain.errors import Conflict, NotFound
from domain.identity.owners import Owner
from domain.log.events import EMPTIED_BY, ResponseStatus, Slot
from domain.turns.response import Response
from state.turns.expiry import EXPIRY
from state.turns.responses import TurnStore
from state.webhook_outbox import is_delivery

EMPTIED_S = 86_400
SLOTS = "slot_"
NOTES = (EXPIRY,)


class Clearing:
    """Every step is safe to repeat."""

    def __init__(self, store: DocumentStore, turns: TurnStore, clock: Clock) -> None:
        self.store = store
        self.turns = turns
        self.clock = clock

    async def clear_thread(self, key: DocumentKey) -> None:
        """Clear all of a thread, what notes it last; what is still to be told of its turns goes when it is told."""
        while True:
            try:
                await self.clear_once(key)
            except Conflict:
                continue
            return

    async def clear_once(self, key: DocumentKey) -> None:
        """Clear what is there; raises Conflict where somebody else does or still writes, who is then further."""
        documents = [each for each in await list_all(self.store, key, prefix="") if not is_delivery(each)]
        notes = [document for document in documents if document.body.get("kind") in NOTES]
        await self.clear(key, [document for document in documents if document not in notes])
        await self.clear(key, notes)

    async def clear_prefix(self, key: DocumentKey, prefix: str) -> None:
        """Clear what has a prefix, whoever else is at it."""
        while True:
            try:
                await self.clear(key, await list_all(self.store, key, prefix=prefix))
            except Conflict:
                continue
            return

    async def clear(self, key: DocumentKey, documents: Sequence[Document]) -> None:
        await write_batches(self.store, key, list(self.clear_operations(documents)))

    def clear_operations(self, documents: Sequence[Document]) -> Iterator[Operation]:
        for document in documents:
            if not document.id.startswith(SLOTS):
                yield Delete(id=document.id)
            elif document.body["writer"] != EMPTIED_BY:
                yield self.emptied_slot(document)

    def emptied_slot(self, document: Document) -> Replace:
        slot = Slot.from_document(document.body)
        bare = Slot(number=slot.number, writer=EMPTIED_BY, first=slot.first, at=self.clock.now())
        forgotten_at = self.clock.now() + EMPTIED_S
        return Replace(id=document.id, body=bare.to_document(), etag=document.etag, expires_at=forgotten_at)

    async def erase_thread(self, owner: Owner, thread: str) -> Sequence[str]:
        """Clear a thread, whatever runs in it; returns the responses that were cancelled for it."""
        key = turns_key(owner, thread)
        documents = await list_all(self.store, key, prefix="resp_")
        running = [d.id for d in documents if not Response.from_document(d.id, d.body).status.is_terminal]
        for response_id in running:
            with contextlib.suppress(NotFound):
                await self.turns.finish(owner, response_id, status=ResponseStatus.CANCELLED)
        await self.clear_thread(key)
        return running

"""How are documents cleared while a writer may still add to them?

Log slots are emptied and stay for a day. A writer that is still active finds its next slot taken and stops; otherwise
it would write documents that nothing clears any more.
"""

from collections.abc import Iterator, Sequence

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import kind_of, read_or_none, readable, report
from clients.storage.keys import turns_key
from clients.storage.paging import list_all, write_batches
from clients.storage.port import Body, Delete, Document, DocumentKey, DocumentStore, Operation, Replace
from domain.errors import DamagedRecord, NotFound
from domain.identity.owners import Owner
from domain.log.events import EMPTIED_BY, Slot
from domain.tools.call_record import ORPHAN, orphaned
from domain.turns.response import Response
from state.files.parts import is_outside
from state.files.places import FilePlaces
from state.turns.approvals import is_ended_wait
from state.turns.cancelling import cancelled
from state.turns.expiry import EXPIRY
from state.turns.responses import TurnStore
from state.webhook_outbox import is_due

EMPTIED_S = 86_400
ORPHANS_S = 3600
"""How long the id of a task stays after its turn, unless the turn's orchestration has its server cancel it before."""

SLOTS = "slot_"


class Clearing:
    """Every step is safe to repeat."""

    def __init__(self, store: DocumentStore, turns: TurnStore, clock: Clock, places: FilePlaces) -> None:
        self.store = store
        self.turns = turns
        self.clock = clock
        self.places = places

    async def clear_thread(self, key: DocumentKey) -> None:
        """Clear a thread, and its expiry documents last.

        Webhook deliveries stay until they are delivered, and notes of ended waits until their turns are settled.
        """
        await compare_and_swap(self.clock, lambda: self.clear_once(key))

    async def clear_once(self, key: DocumentKey) -> None:
        """Clear the documents of now; raises Conflict where another process writes or clears at the same time."""
        documents = [each for each in await list_all(self.store, key, prefix="") if not is_pending(each)]
        if is_outside(documents):
            await self.places.of(is_outside=True).delete(key)
        expiries = [document for document in documents if kind_of(document.body) == EXPIRY]
        await self.clear(key, [document for document in documents if document not in expiries])
        await self.clear(key, expiries)

    async def clear_prefix(self, key: DocumentKey, prefix: str) -> None:
        """Clear the documents whose id has a prefix."""

        async def step() -> None:
            await self.clear(key, await list_all(self.store, key, prefix=prefix))

        await compare_and_swap(self.clock, step)

    async def clear(self, key: DocumentKey, documents: Sequence[Document]) -> None:
        await write_batches(self.store, key, list(self.clear_operations(documents)))

    def clear_operations(self, documents: Sequence[Document]) -> Iterator[Operation]:
        for document in documents:
            if kind_of(document.body) == ORPHAN:
                continue
            if orphan := orphan_of(document):
                yield Replace(id=document.id, body=orphan, etag=document.etag, expires_at=self.clock.now() + ORPHANS_S)
            elif not document.id.startswith(SLOTS) or (slot := read_or_none(document, slot_of)) is None:
                yield Delete(id=document.id)
            elif slot.writer != EMPTIED_BY:
                yield self.emptied_slot(document, slot)

    def emptied_slot(self, document: Document, slot: Slot) -> Replace:
        empty = Slot(number=slot.number, writer=EMPTIED_BY, first=slot.first, at=self.clock.now())
        expires_at = self.clock.now() + EMPTIED_S
        return Replace(id=document.id, body=empty.to_document(), etag=document.etag, expires_at=expires_at)

    async def erase_thread(self, owner: Owner, thread: str) -> Sequence[str]:
        """Cancel what runs in a thread and clear it; return the ids of the cancelled responses."""
        ended = await self.cancel_running(owner, thread)
        await self.clear_thread(turns_key(owner, thread))
        return [each.id for each in ended]

    async def cancel_running(self, owner: Owner, thread: str) -> Sequence[Response]:
        """Cancel what runs in a thread; return the turns, ended."""
        documents = await list_all(self.store, turns_key(owner, thread), prefix="resp_")
        running = [
            each.id
            for each in readable(documents, lambda each: each.read_with_id(Response.from_document))
            if not each.status.is_terminal
        ]
        ended = [await self.cancel(owner, response_id) for response_id in running]
        return [each for each in ended if each]

    async def cancel(self, owner: Owner, response_id: str) -> Response | None:
        """Cancel a turn; None for one that is gone or damaged, which is cleared as it is."""
        try:
            return await cancelled(self.turns, owner, response_id)
        except NotFound:
            return None
        except DamagedRecord as damage:
            report(damage)
            return None


def is_pending(document: Document) -> bool:
    return is_due(document) or is_ended_wait(document)


def orphan_of(document: Document) -> Body | None:
    """Return what is left of the record of a call; None where nothing is to be left."""
    return None if kind_of(document.body) != "call" else read_or_none(document, lambda each: each.read_as(orphaned))


def slot_of(document: Document) -> Slot:
    return document.read_as(Slot.from_document)

"""How are the calls of tools recorded, so that each of them is sent by one run at a time and ends once?

A record is in the partition of its turn, and is created before anything is sent.
"""

from collections.abc import Callable, Sequence
from copy import replace

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap, create_once
from clients.storage.damage import kind_of
from clients.storage.keys import response_key
from clients.storage.paging import list_all
from clients.storage.port import Create, Delete, Document, DocumentStore, Replace
from clients.storage.retry import with_retries
from domain.content.items import ItemStatus
from domain.errors import NoResponse
from domain.identity.owners import Owner
from domain.tools.approvals import approval_id
from domain.tools.call_record import ORPHAN, CallOutcome, CallRecord, call_id, call_prefix
from domain.tools.outcomes import unknown

KEPT_S = 600.0
"""How long a note stays after the time of its task: a turn forgets it at the end of the call."""


class ToolCalls:
    """The records of calls. Every method is safe to repeat."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def open(self, owner: Owner, record: CallRecord) -> CallRecord:
        """Create a record, or return the one that exists: it has another starter."""
        key = response_key(owner, record.response)
        create = Create(id=record.id, body=record.to_document())
        if not await with_retries(self.clock, create_once, self.store, key, create):
            return await self.read(owner, record)
        await self.check_request(owner, record)
        return record

    async def check_request(self, owner: Owner, record: CallRecord) -> None:
        """Raise NoResponse for the new record of an approved call whose request was deleted; remove the record.

        A request is deleted before the records of the calls. While it is there, no record of a run is missing.
        """
        if not record.is_shared:
            return
        key, request = response_key(owner, record.response), approval_id(record.item)
        if await with_retries(self.clock, self.store.read, key, request) is None:
            await self.remove(owner, record.response, record.item)
            raise NoResponse.by_id("Response", record.response)

    async def read(self, owner: Owner, record: CallRecord) -> CallRecord:
        """Return the stored record; raises NoResponse where it was deleted with its response."""
        found = await self.find(owner, record.response, record.item)
        if found is None:
            raise NoResponse.by_id("Response", record.response)
        return found

    async def find(self, owner: Owner, response_id: str, item_id: str) -> CallRecord | None:
        key, identifier = response_key(owner, response_id), call_id(response_id, item_id)
        found = await with_retries(self.clock, self.store.read, key, identifier)
        return found.read_as(CallRecord.from_document) if found and not is_orphan(found) else None

    async def change(
        self, owner: Owner, record: CallRecord, decide: Callable[[CallRecord], CallRecord | None]
    ) -> CallRecord:
        """Store what `decide` makes of the record; None leaves it. Returns the stored record. Raises NoResponse."""
        key = response_key(owner, record.response)

        async def step() -> CallRecord:
            found = await self.store.read(key, record.id)
            if found is None or is_orphan(found):
                raise NoResponse.by_id("Response", record.response)
            before = found.read_as(CallRecord.from_document)
            after = decide(before)
            if after is None:
                return before
            await self.store.commit(key, (Replace(id=record.id, body=after.to_document(), etag=found.etag),))
            return after

        return await compare_and_swap(self.clock, step)

    async def end(self, owner: Owner, record: CallRecord, outcome: CallOutcome) -> CallRecord:
        """Record an outcome, once; return the stored record, whose outcome may be another run's.

        A run records nothing but a success after another turn has taken an approved call over, and while the server
        runs a task of which this run does not know: the other one has it. So it is where a run that was replaced has
        sent nothing of a write; that the write was not sent is true of a run that was alone.
        """
        at, is_success = self.clock.now(), outcome.status is ItemStatus.COMPLETED

        def ended(stored: CallRecord) -> CallRecord | None:
            is_left = not stored.is_run_by(record.turn) or stored.runs_task_unknown_to(record)
            is_left = is_left or (outcome.is_unsent and stored.starter != record.starter)
            if stored.outcome or (is_left and not is_success):
                return None
            known = unknown() if outcome.is_unsent and stored.tries > 1 else replace(outcome, is_unsent=False)
            return stored.ended(known, at=at)

        return await self.change(owner, record, ended)

    async def remove(self, owner: Owner, response_id: str, item_id: str) -> None:
        """Delete a record that was created after its response was deleted: nothing else would delete it."""
        delete = Delete(id=call_id(response_id, item_id))
        await with_retries(self.clock, self.store.commit, response_key(owner, response_id), (delete,))

    async def clear(self, owner: Owner, response_id: str) -> None:
        """Delete the records of a deleted response, those of approved calls included. Safe to repeat."""
        for each in await self.of_response(owner, response_id):
            await self.remove(owner, response_id, each.item)

    async def of_response(self, owner: Owner, response_id: str) -> Sequence[CallRecord]:
        """Return the records of a response, in the order of their items."""
        found = await self.documents(owner, response_id)
        return tuple(each.read_as(CallRecord.from_document) for each in found if not is_orphan(each))

    async def note(self, owner: Owner, record: CallRecord) -> None:
        """Keep what a deletion of its response leaves of a record, as long as its task may last."""
        until = record.task.until if record.task else self.clock.now()
        body = {**record.to_document(), "kind": ORPHAN}
        create = Create(id=record.id, body=body, expires_at=until + KEPT_S)
        await with_retries(self.clock, create_once, self.store, response_key(owner, record.response), create)

    async def orphans(self, owner: Owner, response_id: str) -> Sequence[CallRecord]:
        """Return what is left of a deleted response's calls whose servers run them as tasks."""
        found = await self.documents(owner, response_id)
        return tuple(each.read_as(CallRecord.from_document) for each in found if is_orphan(each))

    async def documents(self, owner: Owner, response_id: str) -> Sequence[Document]:
        key = response_key(owner, response_id)
        return await with_retries(self.clock, list_all, self.store, key, prefix=call_prefix(response_id))


def is_orphan(document: Document) -> bool:
    return kind_of(document.body) == ORPHAN

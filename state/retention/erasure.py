"""How is all that an owner ever said forgotten, also what comes while that is done?

The order is noted in his book before anything goes. All that began before it is cleared at once, and once more when no
request of that time can still be writing; only then the notes of his threads go, by which it is found. What dies on the
way is taken up by the timer. What the owner begins after the order stays.
"""

import math
from collections.abc import Sequence

from clients.clock import Clock
from clients.storage.keys import THREADS, expiry_id, owner_index_key
from clients.storage.paging import list_all, write_batches
from clients.storage.port import Body, Create, Delete, Document, DocumentStore, Replace
from domain.errors import Conflict
from domain.identity.owners import Owner
from state.retention.clearing import Clearing
from state.turns.expiry import expiry_operation

EVERYTHING = "everything"
REQUEST_ID = expiry_id(EVERYTHING)
SINCE = "since"

SETTLED_S = 900.0
"""After so long no request that was under way can still write."""

ROUND_S = 30.0
"""So long the timer follows one order at a time: all that else was left behind waits meanwhile."""


class Erasure:
    """Erases owners. Every step is safe to repeat, and to do twice at once."""

    def __init__(self, store: DocumentStore, clearing: Clearing, clock: Clock) -> None:
        self.store = store
        self.clearing = clearing
        self.clock = clock

    async def erase(self, owner: Owner) -> tuple[str, ...]:
        """Forget what an owner has said until now; returns the responses that were cancelled for it.

        What remains are amounts: what his turns cost, without content, in the books of his tenant.
        """
        await self.record_request(owner)
        return await self.resume(owner)

    async def record_request(self, owner: Owner) -> None:
        """Note what is to be done, or that it is to be done anew from now on."""
        note = expiry_operation(owner, EVERYTHING, at=self.clock.now())
        body = {**note.body, SINCE: self.clock.now()}
        while True:
            found = await self.store.read(owner_index_key(owner), REQUEST_ID)
            try:
                await self.store.commit(owner_index_key(owner), (write_operation(body, found),))
            except Conflict:
                continue
            return

    async def resume(self, owner: Owner, *, within_s: float = math.inf) -> tuple[str, ...]:
        """Do what is noted, up to where it can be done by now; what takes longer than `within_s` is left over."""
        note = await self.store.read(owner_index_key(owner), REQUEST_ID)
        if note is None:
            return ()
        until = self.clock.now() + within_s
        settled = self.clock.now() >= note.body[SINCE] + SETTLED_S
        before = [each for each in await self.index_entries(owner) if each.body["at"] <= note.body[SINCE]]
        cancelled: list[str] = []
        for thread in (each for each in before if each.id.startswith(THREADS)):
            if self.clock.now() >= until:
                return tuple(cancelled)
            cancelled += await self.clearing.erase_thread(owner, thread.id.removeprefix(THREADS))
            if settled:
                await self.store.commit(owner_index_key(owner), (Delete(id=thread.id),))
        rest = [Delete(id=each.id) for each in before if not each.id.startswith(THREADS)]
        await write_batches(self.store, owner_index_key(owner), rest)
        await self.finish(owner, note, settled=settled)
        return tuple(cancelled)

    async def index_entries(self, owner: Owner) -> Sequence[Document]:
        """Return all that stands in an owner's book beside the order."""
        return [each for each in await list_all(self.store, owner_index_key(owner), prefix="") if each.id != REQUEST_ID]

    async def finish(self, owner: Owner, note: Document, *, settled: bool) -> None:
        """Take the order away, or put it off; where it was given anew meanwhile, it stands."""
        later = {**note.body, "at": note.body[SINCE] + SETTLED_S}
        done = Delete(id=REQUEST_ID, etag=note.etag) if settled else write_operation(later, note)
        try:
            await self.store.commit(owner_index_key(owner), (done,))
        except Conflict:
            return


def write_operation(body: Body, found: Document | None) -> Create | Replace:
    return Replace(id=REQUEST_ID, body=body, etag=found.etag) if found else Create(id=REQUEST_ID, body=body)

"""How is everything of an owner erased, including what is written while the erasure runs?

The erasure request is stored in the owner's index first. Every thread that began before it is cleared at once, and
cleared again when no request of that time can still be writing. Only then the index entries of the threads are deleted,
by which the threads are found. The timer completes an interrupted erasure. Threads that begin after the request stay.
"""

import math
from collections.abc import Sequence

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged, compare_and_swap
from clients.storage.damage import kind_of, read_or_none
from clients.storage.keys import THREADS, expiry_id, owner_index_key
from clients.storage.paging import list_all, write_batches
from clients.storage.port import Body, Create, Delete, Document, DocumentStore, Replace
from domain.identity.owners import Owner
from state.retention.clearing import Clearing
from state.turns.expiry import expiry_operation

EVERYTHING = "everything"
REQUEST_ID = expiry_id(EVERYTHING)
SINCE = "since"

BATCH = "batch"
"""The kind of a batch's document. Without it no line begins any more, so it goes before the turns do."""

SETTLED_S = 900.0
"""No request that was being processed can still write after this time."""

ROUND_S = 30.0
"""How long the timer works on one erasure at a time, so that other expired documents are not delayed for long."""


class Erasure:
    """Erases owners. Every step is safe to repeat, and to run twice at once."""

    def __init__(self, store: DocumentStore, clearing: Clearing, clock: Clock) -> None:
        self.store = store
        self.clearing = clearing
        self.clock = clock

    async def erase(self, owner: Owner) -> tuple[str, ...]:
        """Erase everything of an owner until now; return the ids of the responses that were cancelled.

        The costs of the turns stay in the tenant's ledger, without content.
        """
        await self.record_request(owner)
        return await self.resume(owner)

    async def record_request(self, owner: Owner) -> None:
        """Store the erasure request; a repeated request covers everything until now."""
        expiry = expiry_operation(owner, EVERYTHING, at=self.clock.now())
        body = {**expiry.body, SINCE: self.clock.now()}

        async def step() -> None:
            found = await self.store.read(owner_index_key(owner), REQUEST_ID)
            await self.store.commit(owner_index_key(owner), (write_operation(body, found),))

        await compare_and_swap(self.clock, step)

    async def resume(self, owner: Owner, *, within_s: float = math.inf) -> tuple[str, ...]:
        """Continue a stored erasure as far as possible now, for `within_s` seconds; return the cancelled responses."""
        request = await self.store.read(owner_index_key(owner), REQUEST_ID)
        if request is None:
            return ()
        until = self.clock.now() + within_s
        settled = self.clock.now() >= request.body[SINCE] + SETTLED_S
        before = [each for each in await self.index_entries(owner) if began_at(each) <= request.body[SINCE]]
        running = [each for each in before if kind_of(each.body) == BATCH]
        await write_batches(self.store, owner_index_key(owner), [Delete(id=each.id) for each in running])
        cancelled: list[str] = []
        for thread in (each for each in before if each.id.startswith(THREADS)):
            if self.clock.now() >= until:
                return tuple(cancelled)
            cancelled += await self.clearing.erase_thread(owner, thread.id.removeprefix(THREADS))
            if settled:
                await self.store.commit(owner_index_key(owner), (Delete(id=thread.id),))
        rest = [Delete(id=each.id) for each in before if not each.id.startswith(THREADS) and each not in running]
        await write_batches(self.store, owner_index_key(owner), rest)
        await self.finish(owner, request, settled=settled)
        return tuple(cancelled)

    async def index_entries(self, owner: Owner) -> Sequence[Document]:
        """Return the documents of an owner's index beside the erasure request."""
        return [each for each in await list_all(self.store, owner_index_key(owner), prefix="") if each.id != REQUEST_ID]

    async def finish(self, owner: Owner, request: Document, *, settled: bool) -> None:
        """Delete the request, or postpone it for the second round; a request that was repeated meanwhile stays."""
        later = {**request.body, "at": request.body[SINCE] + SETTLED_S}
        done = Delete(id=REQUEST_ID, etag=request.etag) if settled else write_operation(later, request)
        await commit_if_unchanged(self.store, owner_index_key(owner), (done,))


def write_operation(body: Body, found: Document | None) -> Create | Replace:
    return Replace(id=REQUEST_ID, body=body, etag=found.etag) if found else Create(id=REQUEST_ID, body=body)


def began_at(entry: Document) -> float:
    """Return when an entry was written; a damaged one is erased, like those of any time before."""
    found = read_or_none(entry, lambda each: each.read_as(lambda body: float(body["at"])))
    return -math.inf if found is None else found

"""How is all that an owner ever said forgotten, also what comes while that is done?

The order is noted in his book before anything goes. All that began before it is cleared at once, and once more when no
request of that time can still be writing; only then the notes of his threads go, by which it is found. What dies on the
way is taken up by the timer. What the owner begins after the order stays.
"""

import math
from collections.abc import Sequence

from clients.clock import Clock
from clients.storage.keys import THREADS, book_key, expiry_id
from clients.storage.paging import everything, write
from clients.storage.port import Body, Create, Delete, Document, DocumentStore, Replace
from domain.errors import Conflict
from domain.identity.owners import Owner
from state.retention.clearing import Clearing
from state.turns.expiry import expiry

EVERYTHING = "everything"
NOTE = expiry_id(EVERYTHING)
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
        await self.order(owner)
        return await self.go_on(owner)

    async def order(self, owner: Owner) -> None:
        """Note what is to be done, or that it is to be done anew from now on."""
        note = expiry(owner, EVERYTHING, at=self.clock.now())
        body = {**note.body, SINCE: self.clock.now()}
        while True:
            found = await self.store.read(book_key(owner), NOTE)
            try:
                await self.store.commit(book_key(owner), (written(body, found),))
            except Conflict:
                continue
            return

    async def go_on(self, owner: Owner, *, within_s: float = math.inf) -> tuple[str, ...]:
        """Do what is noted, up to where it can be done by now; what takes longer than `within_s` is left over."""
        note = await self.store.read(book_key(owner), NOTE)
        if note is None:
            return ()
        until = self.clock.now() + within_s
        settled = self.clock.now() >= note.body[SINCE] + SETTLED_S
        before = [each for each in await self.noted(owner) if each.body["at"] <= note.body[SINCE]]
        cancelled: list[str] = []
        for thread in (each for each in before if each.id.startswith(THREADS)):
            if self.clock.now() >= until:
                return tuple(cancelled)
            cancelled += await self.clearing.erase_thread(owner, thread.id.removeprefix(THREADS))
            if settled:
                await self.store.commit(book_key(owner), (Delete(id=thread.id),))
        rest = [Delete(id=each.id) for each in before if not each.id.startswith(THREADS)]
        await write(self.store, book_key(owner), rest)
        await self.close(owner, note, settled=settled)
        return tuple(cancelled)

    async def noted(self, owner: Owner) -> Sequence[Document]:
        """Return all that stands in an owner's book beside the order."""
        return [each for each in await everything(self.store, book_key(owner), prefix="") if each.id != NOTE]

    async def close(self, owner: Owner, note: Document, *, settled: bool) -> None:
        """Take the order away, or put it off; where it was given anew meanwhile, it stands."""
        later = {**note.body, "at": note.body[SINCE] + SETTLED_S}
        done = Delete(id=NOTE, etag=note.etag) if settled else written(later, note)
        try:
            await self.store.commit(book_key(owner), (done,))
        except Conflict:
            return


def written(body: Body, found: Document | None) -> Create | Replace:
    return Replace(id=NOTE, body=body, etag=found.etag) if found else Create(id=NOTE, body=body)

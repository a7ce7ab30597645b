"""How does one turn add to the counters of many backends in one commit?

All counters are in the partition of the backends' states. Turns of one process that end a decision together share a
commit, in which each counter document is changed once.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import batched
from typing import Final

from msgspec import Struct

from clients.storage.compare_and_swap import add_or_create, commit_creating, create_once
from clients.storage.group_commit import GroupCommit
from clients.storage.port import OPERATIONS_LIMIT, Add, Body, Create, DocumentStore
from clients.storage.validation import COUNTERS_LIMIT
from domain.errors import DamagedRecord, Invalid
from state.fleet.state_documents import FLEET

MOST_AT_ONCE: Final = 50


class Addition(Struct, frozen=True, kw_only=True):
    """Whole numbers that are added to fields of a document, and the document without them, for the first addition."""

    id: str
    amounts: Mapping[str, int]
    body: Body
    expires_at: float

    @property
    def create(self) -> Create:
        return Create(id=self.id, body=self.body, expires_at=self.expires_at)


class FleetCounters:
    """Adds to counters. Raises what the store raises; an addition whose reply is lost may be lost or done."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store
        self.commits = GroupCommit(self.write, most=MOST_AT_ONCE)

    async def add(self, additions: Sequence[Addition]) -> None:
        if additions:
            await self.commits.submit(additions)

    async def write(self, additions: Sequence[Sequence[Addition]]) -> Sequence[None]:
        """Write the additions of several callers."""
        known = {each.id: each for some in additions for each in some}
        adds = list(sums([each for some in additions for each in some]))
        for batch in batched(adds, OPERATIONS_LIMIT, strict=False):
            await self.add_batch(batch, known)
        return [None] * len(additions)

    async def add_batch(self, adds: Sequence[Add], known: Mapping[str, Addition]) -> None:
        """Add in one commit, which creates one document where a part of a window begins; leave out damaged ones."""
        try:
            create = {each.id: partial(create_once, self.store, FLEET, known[each.id].create) for each in adds}
            await commit_creating(self.store, FLEET, adds, create)
        except (DamagedRecord, Invalid):
            for each in adds:
                await add_or_create(self.store, FLEET, each, known[each.id].create)


def sums(additions: Sequence[Addition]) -> Iterator[Add]:
    """Yield what is added to each document in all, with as many fields as one addition may have."""
    totals: dict[str, dict[str, int]] = {}
    for each in additions:
        known = totals.setdefault(each.id, {})
        for name, amount in each.amounts.items():
            known[name] = known.get(name, 0) + amount
    for identifier, amounts in totals.items():
        for some in batched(amounts.items(), COUNTERS_LIMIT, strict=False):
            yield Add(id=identifier, amounts=dict(some))

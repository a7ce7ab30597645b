"""Which defects of a store must the checker find? Each mutant breaks one promise of the port, sometimes."""

import asyncio
from collections.abc import Sequence
from copy import replace
from random import Random
from typing import override

from clients.storage.port import Add, Create, Delete, Document, DocumentKey, DocumentStore, Operation, Replace
from tests.fakes.stores import Faults, FlakyStore


class IgnoresEtags(FlakyStore):
    """A replacement succeeds over the write of another."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        return await super().commit(key, [await self.with_new_etag(key, one) for one in operations])

    async def with_new_etag(self, key: DocumentKey, one: Operation) -> Operation:
        found = await self.store.read(key, one.id) if isinstance(one, Replace) else None
        return replace(one, etag=found.etag) if isinstance(one, Replace) and found else one


class Overwrites(FlakyStore):
    """A creation succeeds where the document exists."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        for one in operations:
            if isinstance(one, Create):
                await self.store.commit(key, [Delete(id=one.id)])
        return await super().commit(key, operations)


class KnowsNoLimits(FlakyStore):
    """A counter passes its limit."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        return await super().commit(
            key, [replace(one, at_most={}) if isinstance(one, Add) else one for one in operations]
        )


class ReadsLate(FlakyStore):
    """A read may return what was stored before, as from a replica that lags."""

    def __init__(self, store: DocumentStore, random: Random, faults: Faults | None = None) -> None:
        super().__init__(store, random, faults)
        self.seen: dict[str, Document | None] = {}

    @override
    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        found = await super().read(key, identifier)
        old = self.seen.get(identifier)
        self.seen[identifier] = found
        return old if identifier in self.seen and self.random.random() < 1 / 2 else found


class CommitsInParts(FlakyStore):
    """Others see the first half of a commit without the second."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        etags: list[str] = []
        for one in operations:
            etags += await super().commit(key, [one])
            await asyncio.sleep(0)
        return etags


MUTANTS = {
    IgnoresEtags: "conversation lock",
    Overwrites: "log",
    KnowsNoLimits: "ledger",
    ReadsLate: "ledger",
    CommitsInParts: "ledger",
}
"""Each mutant, and the object whose histories must show it."""

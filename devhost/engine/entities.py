"""Which entity runs next? Each one batch at a time, in the order in which it was asked."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from devhost.clock import now
from devhost.engine.model.commands import Failed
from devhost.engine.model.executor import Executor, Limits, RedeliverError
from devhost.engine.model.work_items import Batch, BatchOutcome, Entity
from devhost.engine.redeliveries import Losses
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.entity_rows import LARGEST_BATCH
from devhost.engine.storage.entity_store import EntityStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The rest of the engine: `begin` runs something unless the engine stops, `wake` tells an orchestration."""

    losses: Losses
    begin: Callable[[Coroutine[Any, Any, None]], None]
    wake: Callable[[str], None]
    stopping: Callable[[], bool]


class Entities:
    def __init__(
        self, *, store: EntityStore, storage: StorageThread, executor: Executor, around: Surroundings, limits: Limits
    ) -> None:
        self.store = store
        self.storage = storage
        self.executor = executor
        self.around = around
        self.losses = around.losses
        self.slots = asyncio.Semaphore(limits.entities)
        self.redeliveries = limits.entity_redeliveries
        self.careful: dict[str, int] = {}
        self.active: set[str] = set()
        self.woken: set[str] = set()

    async def signal(self, entity: str, name: str, given: str | None) -> None:
        """Returns when the operation is recorded."""

        async def record() -> None:
            await self.storage.run(self.store.signal, entity, name, given)
            self.wake(entity)

        await asyncio.shield(asyncio.ensure_future(record()))

    async def state(self, entity: str) -> str | None:
        return await self.storage.run(self.store.state, entity)

    async def find(self, prefix: str) -> list[Entity]:
        return await self.storage.run(self.store.find, prefix)

    def wake_all(self, entities: Iterable[str]) -> None:
        for entity in entities:
            self.wake(entity)

    def wake(self, entity: str) -> None:
        self.woken.add(entity)
        if entity not in self.active:
            self.active.add(entity)
            self.around.begin(self.drive(entity))

    async def drive(self, entity: str) -> None:
        while entity in self.woken and not self.around.stopping():
            async with self.slots:
                self.woken.discard(entity)
                await self.run_batch(entity)
        self.active.discard(entity)

    async def run_batch(self, entity: str) -> None:
        largest = 1 if entity in self.careful else LARGEST_BATCH
        batch = await self.storage.run(self.store.next_batch, entity, largest)
        if batch is None:
            return
        self.woken.add(entity)
        outcome = await self.outcome(batch)
        if outcome is None:
            return
        for instance in await self.storage.run(self.store.finish, batch, outcome, now()):
            self.around.wake(instance)
        await self.losses.end(entity)
        self.trust(entity)

    async def outcome(self, batch: Batch) -> BatchOutcome | None:
        """None when the batch was lost with its worker: then its operations are tried one by one."""
        entity, count = batch.entity, len(batch.operations)
        what = f"operation {batch.operations[0].name} of {entity}" if count == 1 else f"{count} operations of {entity}"
        reason = self.losses.too_many(entity, self.redeliveries, what) if count == 1 else None
        if reason is not None:
            return BatchOutcome(state=batch.state, answers=(Failed(reason=json.dumps(reason)),))
        try:
            async with self.losses.apart(entity):
                return await self.executor.entity(batch)
        except RedeliverError:
            self.careful[entity] = max(count, self.careful.get(entity, 0))
            await self.losses.count(entity, what)
            return None

    def trust(self, entity: str) -> None:
        """One operation less of those among which one may be to blame."""
        left = self.careful.pop(entity, 0) - 1
        if left > 0:
            self.careful[entity] = left

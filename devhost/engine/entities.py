"""Which entity runs now? Each entity runs one batch at a time, and operations in the order of arrival."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from devhost.clock import now
from devhost.engine.model.commands import Failed
from devhost.engine.model.executor import EngineLimits, Executor, RedeliverError
from devhost.engine.model.work_items import Entity, EntityBatch, EntityBatchResult
from devhost.engine.redeliveries import RedeliveryCounter
from devhost.engine.storage.database import StorageThread
from devhost.engine.storage.entity_rows import MAX_BATCH_OPERATIONS
from devhost.engine.storage.entity_store import EntityStore


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHooks:
    """Functions of the engine: `spawn` starts a task unless the engine stops, `wake` wakes an orchestration."""

    redeliveries: RedeliveryCounter
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    wake: Callable[[str], None]
    stopping: Callable[[], bool]


class EntityScheduler:
    def __init__(
        self,
        *,
        store: EntityStore,
        storage: StorageThread,
        executor: Executor,
        hooks: EngineHooks,
        limits: EngineLimits,
    ) -> None:
        self.store = store
        self.storage = storage
        self.executor = executor
        self.hooks = hooks
        self.redeliveries = hooks.redeliveries
        self.slots = asyncio.Semaphore(limits.entities)
        self.max_redeliveries = limits.entity_redeliveries
        self.one_by_one: dict[str, int] = {}
        self.active: set[str] = set()
        self.pending_wakeups: set[str] = set()

    async def signal(self, entity: str, name: str, input_: str | None) -> None:
        """Returns when the operation is recorded."""

        async def record() -> None:
            await self.storage.run(self.store.signal, entity, name, input_)
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
        self.pending_wakeups.add(entity)
        if entity not in self.active:
            self.active.add(entity)
            self.hooks.spawn(self.run_batches(entity))

    async def run_batches(self, entity: str) -> None:
        try:
            while entity in self.pending_wakeups and not self.hooks.stopping():
                async with self.slots:
                    self.pending_wakeups.discard(entity)
                    await self.run_batch(entity)
        finally:
            self.active.discard(entity)

    async def run_batch(self, entity: str) -> None:
        largest = 1 if entity in self.one_by_one else MAX_BATCH_OPERATIONS
        batch = await self.storage.persist(self.store.next_batch, entity, largest)
        if batch is None:
            return
        self.pending_wakeups.add(entity)
        outcome = await self.execute(batch)
        if outcome is None:
            return
        for instance in await self.storage.persist(self.store.finish, batch, outcome, now()):
            self.hooks.wake(instance)
        await self.redeliveries.clear(entity)
        self.count_single_operation(entity)

    async def execute(self, batch: EntityBatch) -> EntityBatchResult | None:
        """Returns None if the worker died during the batch: its operations are then tried one by one."""
        entity, count = batch.entity, len(batch.operations)
        what = f"operation {batch.operations[0].name} of {entity}" if count == 1 else f"{count} operations of {entity}"
        reason = self.redeliveries.limit_error(entity, self.max_redeliveries, what) if count == 1 else None
        if reason is not None:
            return EntityBatchResult(state=batch.state, results=(Failed(reason=json.dumps(reason)),))
        try:
            async with self.redeliveries.isolated(entity, self.max_redeliveries):
                return await self.executor.run_entity_batch(batch)
        except RedeliverError:
            self.one_by_one[entity] = max(count, self.one_by_one.get(entity, 0))
            await self.redeliveries.record_loss(entity, what)
            return None

    def count_single_operation(self, entity: str) -> None:
        """Counts down the operations that must still run one by one."""
        left = self.one_by_one.pop(entity, 0) - 1
        if left > 0:
            self.one_by_one[entity] = left

"""Which entity runs next? Each one batch at a time, in the order in which it was asked."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from devhost.clock import now
from devhost.console import say
from devhost.engine.database import StorageThread
from devhost.engine.entity_rows import find_entities, next_batch, put_operation, state_of, write_outcome
from devhost.engine.model import Batch, BatchOutcome, Entity, Executor, RedeliverError
from devhost.engine.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityStore:
    """What is kept of entities. Every method is one transaction on the storage thread."""

    store: Store

    def signal(self, entity: str, name: str, given: str | None) -> None:
        with self.store.transaction() as database:
            put_operation(database, entity, name, given, None)

    def state(self, entity: str) -> str | None:
        return state_of(self.store.database, entity)

    def find(self, prefix: str) -> list[Entity]:
        return find_entities(self.store.database, prefix)

    def next_batch(self, entity: str) -> Batch | None:
        return next_batch(self.store.database, entity)

    def finish(self, batch: Batch, outcome: BatchOutcome, at: float) -> list[str]:
        with self.store.transaction() as database:
            return write_outcome(database, batch, outcome, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The rest of the engine: `begin` runs something unless the engine stops, `wake` tells an orchestration."""

    begin: Callable[[Coroutine[Any, Any, None]], None]
    wake: Callable[[str], None]
    stopping: Callable[[], bool]


class Entities:
    def __init__(
        self, *, store: EntityStore, storage: StorageThread, executor: Executor, around: Surroundings, at_once: int
    ) -> None:
        self.store = store
        self.storage = storage
        self.executor = executor
        self.around = around
        self.slots = asyncio.Semaphore(at_once)
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
        batch = await self.storage.run(self.store.next_batch, entity)
        if batch is None:
            return
        self.woken.add(entity)
        try:
            outcome = await self.executor.entity(batch)
        except RedeliverError:
            say(f"{len(batch.operations)} operations of {entity} are handed out again")
            return
        for instance in await self.storage.run(self.store.finish, batch, outcome, now()):
            self.around.wake(instance)

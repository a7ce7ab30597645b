"""How does the durable host run in virtual time, crash and start again? It is devhost's own engine and protocol."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from devhost.app.versions import VersionMatchStrategy, VersionSettings
from devhost.clock import now
from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.engine import Engine
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.executor import EngineLimits
from devhost.engine.model.instances import OrchestrationStart
from devhost.engine.storage.database import connect
from devhost.protocol_v1.executor import WorkerExecutor
from devhost.supervisor.supervisor import Supervisor
from tests.devhost.engine.failing_database import CODES, FailingConnection, Fault, arm, no_fault
from tests.devhost_campaigns.crashing_engine import NO_CRASH, CrashError, CrashingStore
from tests.devhost_campaigns.in_process import InlineStorage

LIMITS = EngineLimits(orchestrators=10, activities=20)
VERSIONS = VersionSettings(default="1.1", match=VersionMatchStrategy.CURRENT_OR_OLDER)
RESTART_S = 0.6


class NoHostError(Exception):
    """The host is down; the SDK raises plain exceptions too."""


@dataclass(slots=True, kw_only=True)
class Hub:
    """One durable host after another on one database file. `crashes` is how many of them still die."""

    path: Path
    worker: Supervisor
    catalog: Callable[[], Any]
    random: Random
    crashes: int
    statement_faults: float
    engine: Engine | None = None
    died: "asyncio.Future[None] | None" = None
    counts: Counter[str] = field(default_factory=Counter[str])

    async def run(self) -> None:
        """Runs hosts until it is cancelled."""
        while True:
            with contextlib.closing(connect(self.path, FailingConnection)) as database:
                try:
                    await self.live(database)
                finally:
                    self.engine = None
                    arm(database, no_fault)
            self.counts["host crashes"] += 1
            await asyncio.sleep(RESTART_S)

    async def live(self, database: FailingConnection) -> None:
        """One life of the host; returns when it has crashed."""
        mortal = self.counts["host crashes"] < self.crashes
        lives = self.random.randint(5, 120) if mortal else NO_CRASH
        store = CrashingStore(database, lives=lives, committed=self.random.random() < 1 / 2)
        arm(database, self.next_fault)
        self.died = asyncio.get_running_loop().create_future()
        tasks = BackgroundTasks(self.die)
        engine = Engine(
            store=store,
            storage=InlineStorage(asyncio.get_running_loop(), retry_delays_s=(0.05,)),
            executor=WorkerExecutor(supervisor=self.worker, catalog=self.catalog, versions=VERSIONS),
            limits=LIMITS,
            tasks=tasks,
        )
        try:
            with contextlib.suppress(CrashError):
                await engine.recover()
                self.engine = engine
                await self.died
        finally:
            engine.stop()
            await engine.running.stop()
            await tasks.stop()

    def die(self, error: BaseException) -> None:
        """A crash ends the host, wherever it happens; any other error is a defect, which fails the run."""
        if self.died is not None and not self.died.done():
            self.died.set_exception(error)

    def next_fault(self) -> Fault | None:
        fails = self.random.random() < self.statement_faults
        self.counts["failed statements"] += fails
        return (self.random.choice(list(CODES)), self.random.random() < 1 / 2) if fails else None

    def calm_down(self) -> None:
        self.crashes, self.statement_faults = 0, 0.0
        if self.engine is not None:
            store = self.engine.store
            assert isinstance(store, CrashingStore)
            store.transactions_left = NO_CRASH


@dataclass(frozen=True, slots=True, kw_only=True)
class HubClient:
    """The durable client that the product uses, on the host that runs at the moment."""

    find: Callable[[], Hub]

    @property
    def hub(self) -> Hub:
        return self.find()

    async def on_host[T](self, action: Callable[[Engine], Awaitable[T]]) -> T:
        """Raises NoHostError if there is no host, or if it dies in this call."""
        if self.hub.engine is None:
            raise NoHostError
        try:
            return await action(self.hub.engine)
        except CrashError as error:
            self.hub.die(error)
            raise NoHostError from error

    async def start_new(self, orchestration_function_name: str, instance_id: str, client_input: Any) -> str:
        start = OrchestrationStart(
            id=instance_id,
            execution=f"{self.hub.random.getrandbits(128):032x}",
            name=orchestration_function_name,
            at=now(),
            input=json.dumps(json.dumps(client_input)),
            version="1.1",
        )
        await self.on_host(lambda engine: engine.start(start))
        return instance_id

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any) -> None:
        event = HistoryEvent(
            kind=HistoryEventKind.EVENT_RAISED, at=now(), name=event_name, input=json.dumps(json.dumps(event_data))
        )
        await self.on_host(lambda engine: engine.send(instance_id, event))

    async def get_status(self, instance_id: str) -> Any:
        found = await self.on_host(lambda engine: engine.get(instance_id))
        return SimpleNamespace(runtime_status=SimpleNamespace(value=found.status.value) if found else None)

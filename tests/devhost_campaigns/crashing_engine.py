"""Does an orchestration complete if its host crashes and repeats, delays and reorders messages?"""

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, override

from devhost.clock import now
from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.engine import Engine
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.executor import EngineLimits
from devhost.engine.model.instances import (
    TERMINAL_STATUSES,
    InstanceEndedError,
    InstanceNotFoundError,
    OrchestrationInstance,
    OrchestrationStart,
    RuntimeStatus,
    TaskHubUnavailableError,
)
from devhost.engine.storage.database import connect
from devhost.engine.storage.episode_commit import CommitEffects
from devhost.engine.storage.store import TaskHubStore
from devhost.protocol_v1.executor import WorkerExecutor
from tests.devhost.engine.failing_database import CODES, FailingConnection, Fault, arm, no_fault
from tests.devhost_campaigns.in_process import App, Faults, InlineStorage, InProcessWorker
from tests.devhost_campaigns.programs import Program, Raise, program_input

ROOT = "p"
PATIENCE_S = 300.0
LIMITS = EngineLimits(orchestrators=3, activities=4, entities=2)


class CrashError(Exception):
    """The host has crashed."""


class CrashingStore(TaskHubStore):
    """Crashes at the end of its last transaction, before or after the commit."""

    def __init__(self, database: sqlite3.Connection, *, lives: int, committed: bool) -> None:
        super().__init__(database)
        self.transactions_left = lives
        self.committed = committed

    @override
    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        if self.transactions_left <= 0:
            raise CrashError
        self.transactions_left -= 1
        with super().transaction() as database:
            yield database
            if self.transactions_left == 0 and not self.committed:
                raise CrashError
        if self.transactions_left == 0:
            raise CrashError


class RepeatingEngine(Engine):
    """Applies some effects twice."""

    random: Random

    @override
    def apply_effects(self, effects: CommitEffects) -> None:
        for _ in range(1 + (self.random.random() < REPEAT_RATE)):
            super().apply_effects(effects)


REPEAT_RATE = 0.2
NO_CRASH = 1_000_000


@dataclass(slots=True, kw_only=True)
class CrashScenario:
    """One program, its external events, and the faults during its run.

    `statement_faults` is the probability that a statement of the host's database fails; `injected` counts them.
    """

    app: App
    path: Path
    program: Program
    raises: list[Raise]
    random: Random
    crashes: int
    troubles: Faults = field(default_factory=Faults)
    statement_faults: float = 0.0
    injected: Counter[str] = field(default_factory=Counter[str])
    happened: list[str] = field(default_factory=list[str])

    async def run(self) -> OrchestrationInstance:
        """Returns the completed instance. `happened` records the crashes."""
        self.write_start()
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self.run_host_once()) is None:
                self.happened.append("crash")
        return found

    def write_start(self) -> None:
        start = OrchestrationStart(
            id=ROOT,
            execution="e",
            name="play",
            at=now(),
            input=json.dumps(json.dumps(program_input(ROOT, self.program))),
        )
        with contextlib.closing(connect(self.path)) as database:
            TaskHubStore(database).start(start)

    async def run_host_once(self) -> OrchestrationInstance | None:
        """Runs one host; returns None if it crashed."""
        mortal = len(self.happened) < self.crashes
        lives = self.random.randint(1, 40) if mortal else NO_CRASH
        died = asyncio.Event()
        with contextlib.closing(connect(self.path, FailingConnection)) as database:
            arm(database, self.next_fault)
            store = CrashingStore(database, lives=lives, committed=self.random.random() < 1 / 2)
            try:
                async with self.engine_on(store, died) as engine:
                    return await self.run_until_crash(engine, died)
            finally:
                self.injected += Counter(database.injected)
                arm(database, no_fault)

    def next_fault(self) -> Fault | None:
        fails = self.random.random() < self.statement_faults
        return (self.random.choice(list(CODES)), self.random.random() < 1 / 2) if fails else None

    @contextlib.asynccontextmanager
    async def engine_on(self, store: TaskHubStore, died: asyncio.Event) -> AsyncGenerator[Engine]:
        failures: list[BaseException] = []

        def on_failure(error: BaseException) -> None:
            failures.append(error)
            died.set()

        tasks = BackgroundTasks(on_failure)
        worker = InProcessWorker(self.app, self.random, self.troubles)
        executor = WorkerExecutor(supervisor=worker, catalog=lambda: self.app.catalog)
        storage = InlineStorage(asyncio.get_running_loop(), retry_delays_s=(0.001,))
        engine = RepeatingEngine(store=store, storage=storage, executor=executor, limits=LIMITS, tasks=tasks)
        engine.random = self.random
        yield engine
        engine.stop()
        await engine.running.stop()
        await tasks.stop()
        for failure in failures:
            if not isinstance(failure, CrashError):
                raise failure

    async def run_until_crash(self, engine: Engine, died: asyncio.Event) -> OrchestrationInstance | None:
        ending = asyncio.ensure_future(self.drive(engine))
        dying = asyncio.ensure_future(died.wait())
        await asyncio.wait({ending, dying}, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if not ending.done():
            ending.cancel()
        [result] = await asyncio.gather(ending, return_exceptions=True)
        if isinstance(result, CrashError | asyncio.CancelledError):
            return None
        if isinstance(result, BaseException):
            raise result
        return result

    async def drive(self, engine: Engine) -> OrchestrationInstance:
        """Raises the events, and suspends and resumes at random, until everything has completed."""
        await engine.recover()
        waiting = list(self.raises)
        while True:
            found = await get(engine, ROOT)
            if found and found.status in TERMINAL_STATUSES and await is_idle(engine):
                return found
            waiting = [one for one in waiting if not await self.raise_event(engine, one)]
            await self.suspend_or_resume(engine)
            await asyncio.sleep(self.random.uniform(0, 0.004))

    async def suspend_or_resume(self, engine: Engine) -> None:
        found = await get(engine, ROOT)
        suspended = found is not None and found.status is RuntimeStatus.SUSPENDED
        if suspended or self.random.random() < SUSPEND_RATE:
            await send_if_running(
                engine,
                ROOT,
                HistoryEvent(
                    kind=HistoryEventKind.RESUMED if suspended else HistoryEventKind.SUSPENDED, at=now(), reason=""
                ),
            )

    async def raise_event(self, engine: Engine, one: Raise) -> bool:
        """Returns whether the event was delivered or is no longer needed; some are delivered twice."""
        found = await get(engine, one.instance)
        if found is None or round_of(found) < one.round:
            return False
        event = HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=now(), name=one.name, input=json.dumps(one.value))
        for _ in range(1 + (self.random.random() < REPEAT_RATE)):
            await send_if_running(engine, one.instance, event)
        return True


SUSPEND_RATE = 0.05


def round_of(instance: OrchestrationInstance) -> int:
    given: dict[str, Any] = json.loads(json.loads(instance.input or '"{}"'))
    return given["round"]


async def send_if_running(engine: Engine, instance: str, event: HistoryEvent) -> None:
    """Repeats a request that the database refused, like a client."""
    while True:
        try:
            with contextlib.suppress(InstanceEndedError, InstanceNotFoundError):
                await engine.send(instance, event)
        except TaskHubUnavailableError:
            await asyncio.sleep(0)
        else:
            return


async def get(engine: Engine, instance: str) -> OrchestrationInstance | None:
    return await engine.storage.persist(engine.store.get, instance)


async def is_idle(engine: Engine) -> bool:
    """True if no activity and no entity operation is pending."""

    def count() -> int:
        statement = "SELECT (SELECT count(*) FROM work) + (SELECT count(*) FROM operations)"
        return engine.store.database.execute(statement).fetchone()[0]

    return await engine.storage.persist(count) == 0

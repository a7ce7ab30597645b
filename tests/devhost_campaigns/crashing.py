"""What becomes of an orchestration whose host dies, hears things twice, late and in another order?"""

import asyncio
import contextlib
import json
import sqlite3
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
)
from devhost.engine.storage.database import connect
from devhost.engine.storage.episode_commit import CommitEffects
from devhost.engine.storage.store import TaskHubStore
from devhost.protocol_v1.executor import WorkerExecutor
from tests.devhost_campaigns.in_process import App, InlineStorage, InProcessWorker, Troubles
from tests.devhost_campaigns.programs import Program, Raise, told

ROOT = "p"
PATIENCE_S = 300.0
LIMITS = EngineLimits(orchestrators=3, activities=4, entities=2)


class CrashError(Exception):
    """The host is dead from here on."""


class MortalStore(TaskHubStore):
    """Dies at the end of its `lives`-th transaction: before or after the commit."""

    def __init__(self, database: sqlite3.Connection, *, lives: int, committed: bool) -> None:
        super().__init__(database)
        self.lives = lives
        self.committed = committed

    @override
    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        if self.lives <= 0:
            raise CrashError
        self.lives -= 1
        with super().transaction() as database:
            yield database
            if self.lives == 0 and not self.committed:
                raise CrashError
        if self.lives == 0:
            raise CrashError


class StutteringEngine(Engine):
    """Does some of what is to be done twice."""

    random: Random

    @override
    def apply_effects(self, effects: CommitEffects) -> None:
        for _ in range(1 + (self.random.random() < STUTTERS)):
            super().apply_effects(effects)


STUTTERS = 0.2
IMMORTAL = 1_000_000


@dataclass(slots=True, kw_only=True)
class Story:
    """One program, what it waits for from outside, and the troubles on its way."""

    app: App
    path: Path
    program: Program
    raises: list[Raise]
    random: Random
    crashes: int
    troubles: Troubles = field(default_factory=Troubles)
    happened: list[str] = field(default_factory=list[str])

    async def run(self) -> OrchestrationInstance:
        """The instance at its end. `happened` tells how often the host died."""
        self.begin()
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self.live()) is None:
                self.happened.append("crash")
        return found

    def begin(self) -> None:
        start = OrchestrationStart(
            id=ROOT, execution="e", name="play", at=now(), input=json.dumps(json.dumps(told(ROOT, self.program)))
        )
        with contextlib.closing(connect(self.path)) as database:
            TaskHubStore(database).start(start)

    async def live(self) -> OrchestrationInstance | None:
        """One life of a host; None when it died."""
        mortal = len(self.happened) < self.crashes
        lives = self.random.randint(1, 40) if mortal else IMMORTAL
        died = asyncio.Event()
        with contextlib.closing(connect(self.path)) as database:
            store = MortalStore(database, lives=lives, committed=self.random.random() < 1 / 2)
            async with self.engine_on(store, died) as engine:
                return await self.watched(engine, died)

    @contextlib.asynccontextmanager
    async def engine_on(self, store: TaskHubStore, died: asyncio.Event) -> AsyncGenerator[Engine]:
        failures: list[BaseException] = []

        def on_failure(error: BaseException) -> None:
            failures.append(error)
            died.set()

        tasks = BackgroundTasks(on_failure)
        worker = InProcessWorker(self.app, self.random, self.troubles)
        executor = WorkerExecutor(supervisor=worker, catalog=lambda: self.app.catalog)
        storage = InlineStorage(asyncio.get_running_loop())
        engine = StutteringEngine(store=store, storage=storage, executor=executor, limits=LIMITS, tasks=tasks)
        engine.random = self.random
        yield engine
        engine.stop()
        await engine.running.stop()
        await tasks.stop()
        for failure in failures:
            if not isinstance(failure, CrashError):
                raise failure

    async def watched(self, engine: Engine, died: asyncio.Event) -> OrchestrationInstance | None:
        ending = asyncio.ensure_future(self.accompany(engine))
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

    async def accompany(self, engine: Engine) -> OrchestrationInstance:
        """Raises the events, suspends and resumes at times, until everything has ended."""
        await engine.recover()
        waiting = list(self.raises)
        while True:
            found = await engine.get(ROOT)
            if found is not None and found.status in TERMINAL_STATUSES and at_rest(engine.store.database):
                return found
            waiting = [one for one in waiting if not await self.raised(engine, one)]
            await self.disturb(engine)
            await asyncio.sleep(self.random.uniform(0, 0.004))

    async def disturb(self, engine: Engine) -> None:
        found = await engine.get(ROOT)
        suspended = found is not None and found.status is RuntimeStatus.SUSPENDED
        if suspended or self.random.random() < DISTURBED:
            await tell(
                engine,
                ROOT,
                HistoryEvent(
                    kind=HistoryEventKind.RESUMED if suspended else HistoryEventKind.SUSPENDED, at=now(), reason=""
                ),
            )

    async def raised(self, engine: Engine, one: Raise) -> bool:
        """Whether the event arrived, or nobody waits for it any more; some arrive twice."""
        found = await engine.get(one.instance)
        if found is None or round_of(found) < one.round:
            return False
        event = HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=now(), name=one.name, input=json.dumps(one.value))
        for _ in range(1 + (self.random.random() < STUTTERS)):
            await tell(engine, one.instance, event)
        return True


DISTURBED = 0.05


def round_of(instance: OrchestrationInstance) -> int:
    given: dict[str, Any] = json.loads(json.loads(instance.input or '"{}"'))
    return given["round"]


async def tell(engine: Engine, instance: str, event: HistoryEvent) -> None:
    with contextlib.suppress(InstanceEndedError, InstanceNotFoundError):
        await engine.send(instance, event)


def at_rest(database: sqlite3.Connection) -> bool:
    """No activity and no entity has anything to do."""
    [left] = database.execute("SELECT (SELECT count(*) FROM work) + (SELECT count(*) FROM operations)").fetchone()
    return left == 0

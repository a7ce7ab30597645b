"""How does a test run the engine with orchestrators that are plain functions?"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.engine import Engine
from devhost.engine.model.commands import Completed, Failed, OrchestratorDecision, RunActivity
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.executor import EngineLimits
from devhost.engine.model.instances import TERMINAL_STATUSES, OrchestrationInstance, OrchestrationStart
from devhost.engine.model.work_items import ActivityWorkItem, EntityBatch, EntityBatchResult, Episode
from devhost.engine.storage.database import StorageThread, connect
from devhost.engine.storage.store import TaskHubStore

LIMITS = EngineLimits(orchestrators=5, activities=5)


type Decide = Callable[[Episode], OrchestratorDecision]


def events(episode: Episode, kind: HistoryEventKind) -> list[HistoryEvent]:
    return [event for event in (*episode.past_events, *episode.new_events) if event.kind is kind]


def one_activity(episode: Episode) -> OrchestratorDecision:
    done = events(episode, HistoryEventKind.ACTIVITY_COMPLETED)
    if done:
        return OrchestratorDecision(outcome=Completed(output=done[0].result))
    if events(episode, HistoryEventKind.ACTIVITY_SCHEDULED):
        return OrchestratorDecision()
    return OrchestratorDecision(commands=(RunActivity(id=0, name="a", input="1"),))


@dataclass(slots=True, kw_only=True)
class ScriptedExecutor:
    """Orchestrators are functions of an episode, by name; activities return their input by default."""

    orchestrators: dict[str, Decide]
    activity_ends: Callable[[ActivityWorkItem], Awaitable[Completed | Failed]] | None = None
    episodes: list[Episode] = field(default_factory=list[Episode])
    activities: list[ActivityWorkItem] = field(default_factory=list[ActivityWorkItem])
    batches: list[EntityBatch] = field(default_factory=list[EntityBatch])

    async def run_episode(self, episode: Episode) -> OrchestratorDecision:
        self.episodes.append(episode)
        return self.orchestrators[episode.instance.name](episode)

    async def run_activity(self, work: ActivityWorkItem) -> Completed | Failed:
        self.activities.append(work)
        return await self.activity_ends(work) if self.activity_ends else Completed(output=work.input)

    async def run_entity_batch(self, batch: EntityBatch) -> EntityBatchResult:
        """An entity that counts its operations and answers with the count so far."""
        before = int(batch.state or "0")
        self.batches.append(batch)
        answers = tuple(Completed(output=str(before + n + 1)) for n in range(len(batch.operations)))
        return EntityBatchResult(state=str(before + len(answers)), results=answers)


@contextlib.asynccontextmanager
async def engine_on(
    path: Path, executor: ScriptedExecutor, limits: EngineLimits = LIMITS, database: sqlite3.Connection | None = None
) -> AsyncGenerator[Engine]:
    """An engine on a database file; leaving it is a crash: nothing is drained."""
    storage = StorageThread(asyncio.get_running_loop(), retry_delays_s=(0.002,))
    failures: list[BaseException] = []
    tasks = BackgroundTasks(failures.append)
    database = database or connect(path)
    engine = Engine(store=TaskHubStore(database), storage=storage, executor=executor, limits=limits, tasks=tasks)
    storage.start()
    await engine.recover()
    try:
        yield engine
    finally:
        engine.stop()
        await engine.running.stop()
        await tasks.stop()
        storage.stop()
        database.close()
    assert failures == []


def start(name: str, instance: str = "i", trace: str | None = None) -> OrchestrationStart:
    return OrchestrationStart(id=instance, execution=f"{instance}-1", name=name, at=time.time_ns() / 1e9, trace=trace)


async def reached(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if probe():
                return
            await asyncio.sleep(0.005)


async def ended(engine: Engine, instance: str = "i") -> OrchestrationInstance:
    async with asyncio.timeout(60):
        while True:
            found = await engine.storage.persist(engine.store.get, instance)
            if found is not None and found.status in TERMINAL_STATUSES:
                return found
            await asyncio.sleep(0.005)


def raised(name: str) -> HistoryEvent:
    return HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=0.0, name=name, input="1")

"""What happens to work that kills its worker every time?"""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import override

import pytest

from devhost.engine.engine import Engine
from devhost.engine.model.commands import Completed, Failed, OrchestratorDecision, RunActivity
from devhost.engine.model.events import HistoryEventKind
from devhost.engine.model.executor import EngineLimits, RedeliverError
from devhost.engine.model.work_items import ActivityWorkItem, EntityBatch, EntityBatchResult, Episode
from devhost.engine.redeliveries import RedeliveryCounter
from devhost.engine.storage.database import connect, set_exception, set_result
from devhost.engine.storage.store import TaskHubStore
from tests.devhost.engine.scripted_executor import ScriptedExecutor, ended, engine_on, events, reached, start
from tests.devhost.hosts import Durable, RunningHost
from tests.devhost_campaigns.consistency import inconsistencies

MANY = 20
APP = Path(__file__).parent / "apps" / "poison"
ENTITY = "@counter@x"


def at_once(episode: Episode) -> OrchestratorDecision:
    return OrchestratorDecision(outcome=Completed(output=episode.instance.input))


@dataclass(slots=True, kw_only=True)
class Poisonous(ScriptedExecutor):
    """Loses the episodes of the instances in `deadly` the given number of times, and every batch with an operation
    "die".
    """

    deadly: dict[str, int] = field(default_factory=dict[str, int])

    @override
    async def run_episode(self, episode: Episode) -> OrchestratorDecision:
        left = self.deadly.get(episode.instance.id, 0)
        if left:
            self.deadly[episode.instance.id] = left - 1
            raise RedeliverError
        return self.orchestrators[episode.instance.name](episode)

    @override
    async def run_entity_batch(self, batch: EntityBatch) -> EntityBatchResult:
        self.batches.append(batch)
        if any(one.name == "die" for one in batch.operations):
            raise RedeliverError
        answers = tuple(Completed(output="1") for _ in batch.operations)
        return EntityBatchResult(state=str(int(batch.state or "0") + len(answers)), results=answers)


def poisonous(**deadly: int) -> Poisonous:
    return Poisonous(orchestrators={"at_once": at_once}, deadly=deadly)


LIMITS = EngineLimits(orchestrators=5, activities=5, orchestrator_redeliveries=2, entity_redeliveries=1)


async def rests(engine: Engine) -> None:
    await reached(lambda: not engine.store.database.execute("SELECT 1 FROM operations").fetchone())
    await reached(lambda: not engine.entities.active)


async def test_an_episode_that_is_lost_too_often_fails_its_instance(tmp_path: Path) -> None:
    async with engine_on(tmp_path / "hub.db", poisonous(i=3), LIMITS) as engine:
        await engine.start(start("at_once"))
        found = await ended(engine)
        assert found.output == "Orchestrator function 'at_once' failed: the worker died 3 times while it ran"
        await reached(lambda: engine.redeliveries.counts == {})
    assert inconsistencies(tmp_path / "hub.db") == []


async def test_the_count_of_lost_episodes_is_reset_by_a_success(tmp_path: Path) -> None:
    async with engine_on(tmp_path / "hub.db", poisonous(i=2), LIMITS) as engine:
        await engine.start(start("at_once"))
        assert (await ended(engine)).status == "Completed"
        await reached(lambda: not engine.redeliveries.counts and engine.redeliveries.read() == [])


async def test_without_a_limit_an_episode_is_delivered_again_for_ever(tmp_path: Path) -> None:
    async with engine_on(tmp_path / "hub.db", poisonous(i=50)) as engine:
        await engine.start(start("at_once"))
        assert (await ended(engine)).status == "Completed"


async def test_the_count_outlives_the_host(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    with closing(connect(path)) as database:
        TaskHubStore(database).start(start("at_once"))
        database.execute("INSERT INTO losses VALUES ('i', 3)")
    async with engine_on(path, poisonous(), LIMITS) as engine:
        assert (await ended(engine)).status == "Failed"
        await reached(lambda: engine.redeliveries.read() == [])


@dataclass(slots=True, kw_only=True)
class SharedWorker(ScriptedExecutor):
    """Activities run at once in a worker that the one called "kills" takes along, with all the others."""

    running: set[asyncio.Future[None]] = field(default_factory=set[asyncio.Future[None]])

    @override
    async def run_activity(self, work: ActivityWorkItem) -> Completed | Failed:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.running.add(ended)
        later = asyncio.get_running_loop().call_later
        delay = later(0.005, self.die) if work.name == "kills" else later(0.02, set_result, ended, None)
        try:
            await ended
        finally:
            delay.cancel()
            self.running.discard(ended)
        return Completed(output="1")

    def die(self) -> None:
        for one in self.running:
            set_exception(one, RedeliverError())


def beside_a_killer(episode: Episode) -> OrchestratorDecision:
    names = ("kills", "slow", "slow", "slow")
    begun = tuple(RunActivity(id=number, name=name, input="1") for number, name in enumerate(names))
    done = [event.task for event in events(episode, HistoryEventKind.ACTIVITY_COMPLETED)]
    failed = [event.task for event in events(episode, HistoryEventKind.ACTIVITY_FAILED)]
    if len(done) + len(failed) < len(names):
        return OrchestratorDecision(commands=() if events(episode, HistoryEventKind.ACTIVITY_SCHEDULED) else begun)
    return OrchestratorDecision(outcome=Completed(output=f"{sorted(done)} without {failed}"))


async def test_work_is_not_blamed_for_a_crash_of_other_work(tmp_path: Path) -> None:
    executor = SharedWorker(orchestrators={"beside_a_killer": beside_a_killer})
    async with engine_on(
        tmp_path / "hub.db", executor, EngineLimits(orchestrators=5, activities=5, activity_redeliveries=2)
    ) as engine:
        await engine.start(start("beside_a_killer"))
        assert (await ended(engine)).output == "[1, 2, 3] without [0]"


def runs_many(episode: Episode) -> OrchestratorDecision:
    begun = tuple(RunActivity(id=number, name="slow", input="1") for number in range(MANY))
    if len(events(episode, HistoryEventKind.ACTIVITY_COMPLETED)) < MANY:
        return OrchestratorDecision(commands=() if events(episode, HistoryEventKind.ACTIVITY_SCHEDULED) else begun)
    return OrchestratorDecision(outcome=Completed(output="home"))


async def test_old_work_that_was_lost_often_runs_together_if_nothing_can_be_blamed(tmp_path: Path) -> None:
    """Twenty activities were lost twice. They don't run one after another for that."""
    running = most_together = 0

    async def slow(work: ActivityWorkItem) -> Completed | Failed:
        nonlocal running, most_together
        running += 1
        most_together = max(most_together, running)
        await asyncio.sleep(0.2)
        running -= 1
        return Completed(output=work.input)

    path = tmp_path / "hub.db"
    executor = ScriptedExecutor(orchestrators={"runs_many": runs_many}, activity_ends=slow)
    with closing(connect(path)) as database:
        store = TaskHubStore(database)
        store.start(start("runs_many"))
        async with engine_on(path, executor) as engine:
            await reached(lambda: len(executor.activities) == 5)
        database.execute("UPDATE work SET redeliveries = 2")
    running = most_together = 0
    async with engine_on(path, executor, EngineLimits(orchestrators=5, activities=MANY)) as engine:
        assert (await ended(engine)).output == "home"
        assert most_together > 1


async def test_isolated_work_does_not_block_other_work_for_ever(tmp_path: Path) -> None:
    async with engine_on(tmp_path / "hub.db", poisonous()) as engine:
        counts = {"first": 2, "second": 2, "new": 1}
        losses = RedeliveryCounter(store=engine.store, storage=engine.storage, counts=counts, isolation_timeout_s=0.01)
        async with losses.isolated("first", 3), losses.isolated("new", 3), losses.isolated("second", 3):
            assert losses.isolation.locked()
        async with losses.isolated("first", None):
            assert not losses.isolation.locked()


async def test_work_that_waited_when_a_host_died_is_not_counted_as_lost(tmp_path: Path) -> None:
    path, never = tmp_path / "hub.db", asyncio.Event()

    async def hangs(work: ActivityWorkItem) -> Completed:
        await never.wait()
        return Completed(output=work.input)

    def many(episode: Episode) -> OrchestratorDecision:
        begun = tuple(RunActivity(id=number, name="a", input="1") for number in range(4))
        return OrchestratorDecision(commands=() if events(episode, HistoryEventKind.ACTIVITY_SCHEDULED) else begun)

    for _ in range(2):
        executor = ScriptedExecutor(orchestrators={"many": many}, activity_ends=hangs)
        async with engine_on(path, executor, EngineLimits(orchestrators=1, activities=2)) as engine:
            if await engine.get("i") is None:
                await engine.start(start("many"))
            await reached(lambda executor=executor: len(executor.activities) == 2)
    with closing(connect(path)) as database:
        counts = database.execute("SELECT redeliveries FROM work ORDER BY row").fetchall()
    assert counts == [(1,), (1,), (0,), (0,)]


async def test_a_purged_instance_leaves_no_count(tmp_path: Path) -> None:
    async with engine_on(tmp_path / "hub.db", poisonous(), LIMITS) as engine:
        await engine.start(start("at_once"))
        await ended(engine)
        engine.store.database.execute("INSERT INTO losses VALUES ('i', 1)")
        await engine.purge("i")
        assert engine.redeliveries.read() == []


async def test_one_deadly_operation_among_good_ones_is_found_and_fails_alone(tmp_path: Path) -> None:
    executor = poisonous()
    path = tmp_path / "hub.db"
    with closing(connect(path)) as database:
        for name in ("add", "add", "die", "add", "add"):
            database.execute("INSERT INTO operations (entity, name) VALUES (?, ?)", (ENTITY, name))
    async with engine_on(path, executor, LIMITS) as engine:
        await rests(engine)
        assert await engine.entities.state(ENTITY) == "4"
        assert engine.redeliveries.counts == {}
    names = [[one.name for one in batch.operations] for batch in executor.batches]
    assert names == [["add", "add", "die", "add", "add"], ["add"], ["add"], ["die"], ["die"], ["add"], ["add"]]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[RunningHost]:
    host = RunningHost(app=APP, folder=tmp_path).start()
    yield host
    host.stop()


@pytest.mark.timeout(600)
def test_work_that_kills_its_worker_fails_and_other_work_continues(host: RunningHost) -> None:
    with host.client() as client:
        durable = Durable(http=client)
        output = durable.wait(durable.start("asks"), 300)["output"]
        dead = durable.wait(durable.start("dies"), 300)
        assert client.get("/admin/host/status").json()["redeliveries"] == {}
    lost = "the worker died 2 times while it ran"
    assert output[0] == lost
    assert output[1].startswith(f"Activity function 'kills' failed:  {lost}")
    assert output[2] == 2
    assert dead["runtimeStatus"] == "Failed"
    assert dead["output"] == f"Orchestrator function 'dies' failed: {lost}"
    assert "(redelivery 2)" in host.log

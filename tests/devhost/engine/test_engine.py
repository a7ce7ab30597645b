"""Does the engine do each thing once, in order, and find it again?"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from devhost.engine.background_tasks import Tasks
from devhost.engine.engine import Engine
from devhost.engine.model.commands import (
    CallEntity,
    Completed,
    ContinuedAsNew,
    Decision,
    Failed,
    RunActivity,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import Event, Kind
from devhost.engine.model.executor import Limits, RedeliverError
from devhost.engine.model.instances import (
    TERMINAL,
    Instance,
    InstanceEndedError,
    InstanceNotFoundError,
    InstanceRunningError,
    Query,
    Start,
    Status,
)
from devhost.engine.model.work_items import Batch, BatchOutcome, Turn, Work
from devhost.engine.storage.database import DatabaseVersionError, StorageThread, connect
from devhost.engine.storage.entity_store import EntityStore
from devhost.engine.storage.file_lock import DatabaseInUseError, take_lock
from devhost.engine.storage.store import Store

LIMITS = Limits(turns=5, activities=5)

type Decide = Callable[[Turn], Decision]


def events(turn: Turn, kind: Kind) -> list[Event]:
    return [event for event in (*turn.past, *turn.new) if event.kind is kind]


def one_activity(turn: Turn) -> Decision:
    done = events(turn, Kind.ACTIVITY_COMPLETED)
    if done:
        return Decision(ending=Completed(output=done[0].result))
    if events(turn, Kind.ACTIVITY_SCHEDULED):
        return Decision()
    return Decision(commands=(RunActivity(id=0, name="a", input="1"),))


@dataclass(slots=True, kw_only=True)
class ScriptedExecutor:
    """Orchestrators are functions of a turn, by name; activities return their input unless told otherwise."""

    orchestrators: dict[str, Decide]
    activity_ends: Callable[[Work], Awaitable[Completed | Failed]] | None = None
    turns: list[Turn] = field(default_factory=list[Turn])
    activities: list[Work] = field(default_factory=list[Work])
    batches: list[Batch] = field(default_factory=list[Batch])

    async def turn(self, turn: Turn) -> Decision:
        self.turns.append(turn)
        return self.orchestrators[turn.instance.name](turn)

    async def activity(self, work: Work) -> Completed | Failed:
        self.activities.append(work)
        return await self.activity_ends(work) if self.activity_ends else Completed(output=work.input)

    async def entity(self, batch: Batch) -> BatchOutcome:
        """An entity that counts its operations and answers with the count so far."""
        before = int(batch.state or "0")
        self.batches.append(batch)
        answers = tuple(Completed(output=str(before + n + 1)) for n in range(len(batch.operations)))
        return BatchOutcome(state=str(before + len(answers)), answers=answers)


@contextlib.asynccontextmanager
async def engine_on(path: Path, executor: ScriptedExecutor, limits: Limits = LIMITS) -> AsyncGenerator[Engine]:
    """An engine on a database file; leaving it is a crash: nothing is drained."""
    storage = StorageThread(asyncio.get_running_loop())
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)
    database = connect(path)
    engine = Engine(store=Store(database), storage=storage, executor=executor, limits=limits, tasks=tasks)
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


def start(name: str, instance: str = "i", trace: str | None = None) -> Start:
    return Start(id=instance, execution=f"{instance}-1", name=name, at=time.time_ns() / 1e9, trace=trace)


async def reached(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if probe():
                return
            await asyncio.sleep(0.005)


async def ended(engine: Engine, instance: str = "i") -> Instance:
    async with asyncio.timeout(10):
        while True:
            found = await engine.get(instance)
            if found is not None and found.status in TERMINAL:
                return found
            await asyncio.sleep(0.005)


def raised(name: str) -> Event:
    return Event(kind=Kind.EVENT_RAISED, at=0.0, name=name, input="1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


async def test_an_activity_runs_and_its_result_ends_the_instance(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"one": one_activity})
    async with engine_on(path, executor) as engine:
        await engine.start(start("one"))
        found = await ended(engine)
        history = await engine.history("i")
    assert (found.status, found.output) == (Status.COMPLETED, "1")
    assert [event.kind for event in history] == [
        *(Kind.TURN_STARTED, Kind.STARTED, Kind.ACTIVITY_SCHEDULED, Kind.TURN_COMPLETED),
        *(Kind.TURN_STARTED, Kind.ACTIVITY_COMPLETED, Kind.TURN_COMPLETED, Kind.COMPLETED),
    ]


async def test_work_that_was_lost_with_its_worker_is_handed_out_again_and_counted(path: Path) -> None:
    async def lost_twice(work: Work) -> Completed | Failed:
        if len(executor.activities) <= 2:
            raise RedeliverError
        return Completed(output="at last")

    executor = ScriptedExecutor(orchestrators={"one": one_activity}, activity_ends=lost_twice)
    async with engine_on(path, executor) as engine:
        await engine.start(start("one"))
        assert (await ended(engine)).output == "at last"
    assert len(executor.activities) == 3


async def test_a_turn_that_was_lost_with_its_worker_is_made_again(path: Path) -> None:
    def lost_once(turn: Turn) -> Decision:
        if len(executor.turns) == 1:
            raise RedeliverError
        return Decision(ending=Completed(output="ok"))

    executor = ScriptedExecutor(orchestrators={"o": lost_once})
    async with engine_on(path, executor) as engine:
        await engine.start(start("o"))
        assert (await ended(engine)).output == "ok"
    assert executor.turns[0].past == executor.turns[1].past == ()


async def test_an_engine_that_stopped_in_an_activity_runs_it_again(path: Path) -> None:
    async def never(work: Work) -> Completed | Failed:
        begun.set()
        await asyncio.sleep(60)
        return Completed(output=None)

    begun = asyncio.Event()
    async with engine_on(path, ScriptedExecutor(orchestrators={"one": one_activity}, activity_ends=never)) as engine:
        await engine.start(start("one"))
        await begun.wait()
    executor = ScriptedExecutor(orchestrators={"one": one_activity})
    async with engine_on(path, executor) as engine:
        assert (await ended(engine)).output == "1"
    assert executor.activities[0].redeliveries == 1


async def test_an_engine_that_stopped_before_a_turn_makes_it(path: Path) -> None:
    def waits(turn: Turn) -> Decision:
        return Decision(ending=Completed(output="x") if events(turn, Kind.EVENT_RAISED) else None)

    database = connect(path)
    Store(database).start(start("waits"))
    Store(database).send("i", raised("go"))
    database.close()
    async with engine_on(path, ScriptedExecutor(orchestrators={"waits": waits})) as engine:
        assert (await ended(engine)).output == "x"


async def test_a_result_is_recorded_once(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"one": one_activity})
    async with engine_on(path, executor) as engine:
        await engine.start(start("one"))
        await ended(engine)
        again = Event(kind=Kind.ACTIVITY_COMPLETED, at=0.0, task=0, result="2")
        assert await engine.storage.run(engine.store.finish_work, executor.activities[0], again) is False


async def test_a_timer_fires_not_before_its_time_and_survives_a_restart(path: Path) -> None:
    def sleeps(turn: Turn) -> Decision:
        if events(turn, Kind.TIMER_FIRED):
            return Decision(ending=Completed(output=str(turn.new[0].at)))
        return Decision(commands=(StartTimer(id=0, fire_at=due),))

    due = time.time_ns() / 1e9 + 0.4
    executor = ScriptedExecutor(orchestrators={"sleeps": sleeps})
    async with engine_on(path, executor) as engine:
        await engine.start(start("sleeps"))
        await reached(lambda: bool(engine.timers.heap))
    async with engine_on(path, executor) as engine:
        assert float((await ended(engine)).output or 0) >= due


def calls_child(turn: Turn) -> Decision:
    done = events(turn, Kind.CHILD_COMPLETED) + events(turn, Kind.CHILD_FAILED)
    if done:
        return Decision(ending=Completed(output=done[0].result or done[0].reason))
    return Decision(commands=(StartChild(id=0, name="child", instance="c", input="5"),))


async def test_a_child_answers_its_parent(path: Path) -> None:
    def child(turn: Turn) -> Decision:
        return Decision(ending=Completed(output=turn.instance.input))

    executor = ScriptedExecutor(orchestrators={"parent": calls_child, "child": child})
    async with engine_on(path, executor) as engine:
        await engine.start(start("parent", trace="t"))
        assert (await ended(engine)).output == "5"
        found = await engine.get("c")
    assert found is not None
    assert found.trace == "t"


async def test_a_child_whose_id_is_taken_fails_in_its_parent(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"parent": calls_child, "child": lambda _: Decision()})
    async with engine_on(path, executor) as engine:
        await engine.start(start("child", "c"))
        await engine.start(start("parent"))
        assert "already exists" in ((await ended(engine)).output or "")


async def test_continue_as_new_takes_over_what_was_not_read_and_what_it_carries(path: Path) -> None:
    def again(turn: Turn) -> Decision:
        if turn.instance.input == "second":
            names = [event.name for event in events(turn, Kind.EVENT_RAISED)]
            return Decision(ending=Completed(output=",".join(str(name) for name in names))) if names else Decision()
        return Decision(ending=ContinuedAsNew(input="second", carried=(raised("carried"),)), custom_status='"new"')

    async with engine_on(path, ScriptedExecutor(orchestrators={"again": again})) as engine:
        await engine.start(start("again"))
        found = await ended(engine)
    assert (found.output, found.execution != "i-1", found.custom_status) == ("carried", True, '"new"')


async def test_messages_for_an_execution_that_is_no_more_are_dropped(path: Path) -> None:
    def again(turn: Turn) -> Decision:
        if turn.instance.input == "second":
            return Decision(ending=Completed(output="x") if events(turn, Kind.EVENT_RAISED) else None)
        return Decision(ending=ContinuedAsNew(input="second"), commands=())

    async with engine_on(path, ScriptedExecutor(orchestrators={"again": again})) as engine:
        await engine.start(start("again"))
        stale = Event(kind=Kind.ACTIVITY_COMPLETED, at=0.0, task=3)
        await engine.storage.run(
            engine.store.database.execute,
            "INSERT INTO inbox (instance, execution, event) VALUES ('i', 'long-gone', ?)",
            ('{"kind": "activity_completed", "at": 0.0, "task": 3}',),
        )
        await engine.send("i", raised("go"))
        assert (await ended(engine)).output == "x"
        assert stale.task not in [event.task for event in await engine.history("i")]


async def test_termination_answers_the_parent_and_asks_nobody(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"parent": calls_child, "child": lambda _: Decision()})
    async with engine_on(path, executor) as engine:
        await engine.start(start("parent"))
        await reached(lambda: "c" in [turn.instance.id for turn in executor.turns])
        await engine.send("c", Event(kind=Kind.TERMINATED, at=0.0, reason="enough"))
        assert (await ended(engine)).output == "enough"


async def test_ids_are_taken_while_running_and_free_afterwards(path: Path) -> None:
    def waits(turn: Turn) -> Decision:
        return Decision(ending=Completed(output="x") if events(turn, Kind.EVENT_RAISED) else None)

    async with engine_on(path, ScriptedExecutor(orchestrators={"waits": waits})) as engine:
        await engine.start(start("waits"))
        with pytest.raises(InstanceRunningError):
            await engine.start(start("waits"))
        with pytest.raises(InstanceRunningError):
            await engine.purge("i")
        await engine.send("i", raised("go"))
        await ended(engine)
        with pytest.raises(InstanceEndedError):
            await engine.send("i", raised("go"))
        await engine.start(start("waits"))
        assert [event.kind for event in await engine.history("i")].count(Kind.STARTED) <= 1


async def test_a_start_may_go_over_an_instance_that_runs(path: Path) -> None:
    def waits(turn: Turn) -> Decision:
        return Decision()

    async with engine_on(path, ScriptedExecutor(orchestrators={"waits": waits, "one": one_activity})) as engine:
        await engine.start(start("waits"))
        first = await engine.get("i")
        await engine.start(replace(start("one"), execution="another"), over=True)
        second = await ended(engine)
    assert first is not None
    assert (second.name, second.status) == ("one", Status.COMPLETED)
    assert second.execution != first.execution


async def test_an_unknown_instance_can_not_be_told_anything(path: Path) -> None:
    async with engine_on(path, ScriptedExecutor(orchestrators={})) as engine:
        with pytest.raises(InstanceNotFoundError):
            await engine.send("nobody", raised("go"))
        with pytest.raises(InstanceNotFoundError):
            await engine.purge("nobody")


async def test_a_purged_instance_leaves_nothing_behind(path: Path) -> None:
    async with engine_on(path, ScriptedExecutor(orchestrators={"one": one_activity})) as engine:
        await engine.start(start("one"))
        await ended(engine)
        await engine.purge("i")
        assert await engine.get("i") is None
        for table in ("history", "inbox", "work", "timers"):
            rows = engine.store.database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - constant names
            assert rows == (0,)


async def test_instances_are_found_by_time_status_and_prefix(path: Path) -> None:
    async with engine_on(
        path, ScriptedExecutor(orchestrators={"one": one_activity, "w": lambda _: Decision()})
    ) as engine:
        before = time.time_ns() / 1e9
        await engine.start(start("one", "a-1"))
        await engine.start(start("w", "a-2"))
        await ended(engine, "a-1")

        async def ids(query: Query) -> list[str]:
            return [one.id for one in await engine.query(query)]

        assert await ids(Query(prefix="a-")) == ["a-1", "a-2"]
        assert await ids(Query(statuses=frozenset({Status.COMPLETED}))) == ["a-1"]
        assert await ids(Query(created_to=before)) == []
        assert await ids(Query(created_from=before, prefix="b")) == []


async def test_never_more_activities_at_once_than_allowed(path: Path) -> None:
    async def counted(work: Work) -> Completed | Failed:
        running.add(work.task)
        most.append(len(running))
        await asyncio.sleep(0.01)
        running.discard(work.task)
        return Completed(output="1")

    def twenty(turn: Turn) -> Decision:
        if len(events(turn, Kind.ACTIVITY_COMPLETED)) == 20:
            return Decision(ending=Completed(output="x"))
        calls = tuple(RunActivity(id=n, name="a", input="1") for n in range(20))
        return Decision() if turn.past else Decision(commands=calls)

    running: set[int] = set()
    most: list[int] = []
    executor = ScriptedExecutor(orchestrators={"twenty": twenty}, activity_ends=counted)
    async with engine_on(path, executor) as engine:
        await engine.start(start("twenty"))
        await ended(engine)
    assert max(most) == 5


async def test_an_activity_that_takes_its_worker_along_too_often_fails(path: Path) -> None:
    async def lost(work: Work) -> Completed | Failed:
        raise RedeliverError

    def told(turn: Turn) -> Decision:
        failed = events(turn, Kind.ACTIVITY_FAILED)
        return Decision(ending=Completed(output=failed[0].reason)) if failed else one_activity(turn)

    executor = ScriptedExecutor(orchestrators={"told": told}, activity_ends=lost)
    async with engine_on(path, executor, Limits(turns=5, activities=5, redeliveries=2)) as engine:
        await engine.start(start("told"))
        found = await ended(engine)
    assert found.output == "Activity function 'a' failed:  its worker was lost 3 times while it ran"
    assert len(executor.activities) == 3


async def test_an_activity_whose_instance_was_removed_is_not_handed_out_again(path: Path) -> None:
    async def lost(work: Work) -> Completed | Failed:
        if len(executor.activities) > 1:
            pytest.fail("it was handed out again")
        begun.set()
        await engine.storage.run(engine.store.send, "i", Event(kind=Kind.TERMINATED, at=0.0, reason=""))
        engine.wake("i")
        await ended(engine)
        await engine.purge("i")
        raise RedeliverError

    begun = asyncio.Event()
    executor = ScriptedExecutor(orchestrators={"one": one_activity}, activity_ends=lost)
    async with engine_on(path, executor) as engine:
        await engine.start(start("one"))
        await begun.wait()
        await engine.running.wait(20.0)
        assert engine.losses.counts == {}
    assert len(executor.activities) == 1


def asks_twice(turn: Turn) -> Decision:
    done = events(turn, Kind.ENTITY_COMPLETED)
    if done:
        return Decision(ending=Completed(output=done[0].result))
    signal = SignalEntity(id=0, entity="@count@a", operation="up", input=None)
    call = CallEntity(id=1, entity="@count@a", operation="up", input=None)
    return Decision() if turn.past else Decision(commands=(signal, call))


async def test_an_entity_answers_whoever_called_it_and_keeps_its_state(path: Path) -> None:
    async with engine_on(path, ScriptedExecutor(orchestrators={"asks": asks_twice})) as engine:
        await engine.start(start("asks"))
        assert (await ended(engine)).output == "2"
    async with engine_on(path, ScriptedExecutor(orchestrators={})) as engine:
        assert await engine.entities.state("@count@a") == "2"


async def test_signals_that_an_earlier_host_left_are_done_in_one_batch(path: Path) -> None:
    database = connect(path)
    for _ in range(3):
        EntityStore(store=Store(database)).signal("@count@b", "up", None)
    database.close()
    executor = ScriptedExecutor(orchestrators={})
    async with engine_on(path, executor) as engine:
        await reached(lambda: bool(executor.batches))
        await reached(lambda: not engine.entities.active)
        assert await engine.entities.state("@count@b") == "3"
    assert [len(batch.operations) for batch in executor.batches] == [3]


async def test_a_signal_for_later_goes_out_not_before_its_time_and_once_and_survives_a_restart(path: Path) -> None:
    def signals(turn: Turn) -> Decision:
        signal = SignalEntity(id=0, entity="@count@c", operation="up", input=None, due=due)
        return Decision(commands=(signal,), ending=Completed(output=None))

    due = time.time_ns() / 1e9 + 0.4
    executor = ScriptedExecutor(orchestrators={"signals": signals})
    async with engine_on(path, executor) as engine:
        await engine.start(start("signals"))
        await ended(engine)
    async with engine_on(path, executor) as engine:
        await reached(lambda: bool(executor.batches))
        assert time.time_ns() / 1e9 >= due
        await reached(lambda: not engine.entities.active)
        assert await engine.entities.state("@count@c") == "1"
    async with engine_on(path, executor):
        assert len(executor.batches) == 1


def test_a_database_has_one_host(path: Path) -> None:
    take_lock(path)
    with pytest.raises(DatabaseInUseError, match="in use by another host"):
        take_lock(path)


def test_a_database_of_another_version_is_refused(path: Path) -> None:
    database = connect(path)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(DatabaseVersionError):
        connect(path)

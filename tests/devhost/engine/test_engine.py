"""Does the engine run everything once and in order, and does it recover?"""

import asyncio
import time
from copy import replace
from pathlib import Path

import pytest

from devhost.engine.model.commands import (
    CallEntity,
    Completed,
    ContinuedAsNew,
    Failed,
    OrchestratorDecision,
    RunActivity,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.executor import EngineLimits, RedeliverError
from devhost.engine.model.instances import (
    InstanceEndedError,
    InstanceNotFoundError,
    InstanceQuery,
    InstanceRunningError,
    RuntimeStatus,
)
from devhost.engine.model.work_items import ActivityWorkItem, Episode
from devhost.engine.storage.database import DatabaseVersionError, connect
from devhost.engine.storage.entity_store import EntityStore
from devhost.engine.storage.file_lock import DatabaseInUseError, take_lock
from devhost.engine.storage.store import TaskHubStore
from tests.devhost.engine.scripted_executor import (
    ScriptedExecutor,
    ended,
    engine_on,
    events,
    one_activity,
    raised,
    reached,
    start,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


async def test_an_activity_runs_and_its_result_ends_the_instance(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"one": one_activity})
    async with engine_on(path, executor) as engine:
        await engine.start(start("one"))
        found = await ended(engine)
        history = await engine.history("i")
    assert (found.status, found.output) == (RuntimeStatus.COMPLETED, "1")
    assert [event.kind for event in history] == [
        *(
            HistoryEventKind.ORCHESTRATOR_STARTED,
            HistoryEventKind.STARTED,
            HistoryEventKind.ACTIVITY_SCHEDULED,
            HistoryEventKind.ORCHESTRATOR_COMPLETED,
        ),
        *(
            HistoryEventKind.ORCHESTRATOR_STARTED,
            HistoryEventKind.ACTIVITY_COMPLETED,
            HistoryEventKind.ORCHESTRATOR_COMPLETED,
            HistoryEventKind.COMPLETED,
        ),
    ]


async def test_work_is_delivered_again_and_counted_when_its_worker_dies(path: Path) -> None:
    async def lost_twice(work: ActivityWorkItem) -> Completed | Failed:
        if len(executor.activities) <= 2:
            raise RedeliverError
        return Completed(output="at last")

    executor = ScriptedExecutor(orchestrators={"one": one_activity}, activity_ends=lost_twice)
    async with engine_on(path, executor) as engine:
        await engine.start(start("one"))
        assert (await ended(engine)).output == "at last"
    assert len(executor.activities) == 3


async def test_an_episode_is_repeated_when_its_worker_dies(path: Path) -> None:
    def lost_once(episode: Episode) -> OrchestratorDecision:
        if len(executor.episodes) == 1:
            raise RedeliverError
        return OrchestratorDecision(outcome=Completed(output="ok"))

    executor = ScriptedExecutor(orchestrators={"o": lost_once})
    async with engine_on(path, executor) as engine:
        await engine.start(start("o"))
        assert (await ended(engine)).output == "ok"
    assert executor.episodes[0].past_events == executor.episodes[1].past_events == ()


async def test_an_engine_that_stopped_in_an_activity_runs_it_again(path: Path) -> None:
    async def never(work: ActivityWorkItem) -> Completed | Failed:
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
    def waits(episode: Episode) -> OrchestratorDecision:
        return OrchestratorDecision(
            outcome=Completed(output="x") if events(episode, HistoryEventKind.EVENT_RAISED) else None
        )

    database = connect(path)
    TaskHubStore(database).start(start("waits"))
    TaskHubStore(database).send("i", raised("go"))
    database.close()
    async with engine_on(path, ScriptedExecutor(orchestrators={"waits": waits})) as engine:
        assert (await ended(engine)).output == "x"


async def test_a_result_is_recorded_once(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"one": one_activity})
    async with engine_on(path, executor) as engine:
        await engine.start(start("one"))
        await ended(engine)
        again = HistoryEvent(kind=HistoryEventKind.ACTIVITY_COMPLETED, at=0.0, task=0, result="2")
        assert await engine.storage.run(engine.store.finish_work, executor.activities[0], again) is False


async def test_a_timer_fires_not_before_its_time_and_survives_a_restart(path: Path) -> None:
    def sleeps(episode: Episode) -> OrchestratorDecision:
        if events(episode, HistoryEventKind.TIMER_FIRED):
            return OrchestratorDecision(outcome=Completed(output=str(episode.new_events[0].at)))
        return OrchestratorDecision(commands=(StartTimer(id=0, fire_at=due),))

    due = time.time_ns() / 1e9 + 0.4
    executor = ScriptedExecutor(orchestrators={"sleeps": sleeps})
    async with engine_on(path, executor) as engine:
        await engine.start(start("sleeps"))
        await reached(lambda: bool(engine.timers.heap))
    async with engine_on(path, executor) as engine:
        assert float((await ended(engine)).output or 0) >= due


def calls_child(episode: Episode) -> OrchestratorDecision:
    done = events(episode, HistoryEventKind.CHILD_COMPLETED) + events(episode, HistoryEventKind.CHILD_FAILED)
    if done:
        return OrchestratorDecision(outcome=Completed(output=done[0].result or done[0].reason))
    return OrchestratorDecision(commands=(StartChild(id=0, name="child", instance="c", input="5"),))


async def test_a_child_answers_its_parent(path: Path) -> None:
    def child(episode: Episode) -> OrchestratorDecision:
        return OrchestratorDecision(outcome=Completed(output=episode.instance.input))

    executor = ScriptedExecutor(orchestrators={"parent": calls_child, "child": child})
    async with engine_on(path, executor) as engine:
        await engine.start(start("parent", trace="t"))
        assert (await ended(engine)).output == "5"
        found = await engine.get("c")
    assert found is not None
    assert found.trace == "t"


async def test_a_child_with_the_id_of_a_running_instance_fails_in_its_parent(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"parent": calls_child, "child": lambda _: OrchestratorDecision()})
    async with engine_on(path, executor) as engine:
        await engine.start(start("child", "c"))
        await engine.start(start("parent"))
        assert "already exists" in ((await ended(engine)).output or "")


async def test_continue_as_new_keeps_unread_and_carried_events(path: Path) -> None:
    def again(episode: Episode) -> OrchestratorDecision:
        if episode.instance.input == "second":
            names = [event.name for event in events(episode, HistoryEventKind.EVENT_RAISED)]
            return (
                OrchestratorDecision(outcome=Completed(output=",".join(str(name) for name in names)))
                if names
                else OrchestratorDecision()
            )
        return OrchestratorDecision(
            outcome=ContinuedAsNew(input="second", carried_events=(raised("carried"),)), custom_status='"new"'
        )

    async with engine_on(path, ScriptedExecutor(orchestrators={"again": again})) as engine:
        await engine.start(start("again"))
        found = await ended(engine)
    assert (found.output, found.execution != "i-1", found.custom_status) == ("carried", True, '"new"')


async def test_messages_for_an_earlier_execution_are_dropped(path: Path) -> None:
    def again(episode: Episode) -> OrchestratorDecision:
        if episode.instance.input == "second":
            return OrchestratorDecision(
                outcome=Completed(output="x") if events(episode, HistoryEventKind.EVENT_RAISED) else None
            )
        return OrchestratorDecision(outcome=ContinuedAsNew(input="second"), commands=())

    async with engine_on(path, ScriptedExecutor(orchestrators={"again": again})) as engine:
        await engine.start(start("again"))
        stale = HistoryEvent(kind=HistoryEventKind.ACTIVITY_COMPLETED, at=0.0, task=3)
        await engine.storage.run(
            engine.store.database.execute,
            "INSERT INTO inbox (instance, execution, event) VALUES ('i', 'long-gone', ?)",
            ('{"kind": "activity_completed", "at": 0.0, "task": 3}',),
        )
        await engine.send("i", raised("go"))
        assert (await ended(engine)).output == "x"
        assert stale.task not in [event.task for event in await engine.history("i")]


async def test_termination_notifies_the_parent_without_calling_user_code(path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"parent": calls_child, "child": lambda _: OrchestratorDecision()})
    async with engine_on(path, executor) as engine:
        await engine.start(start("parent"))
        await reached(lambda: "c" in [episode.instance.id for episode in executor.episodes])
        await engine.send("c", HistoryEvent(kind=HistoryEventKind.TERMINATED, at=0.0, reason="enough"))
        assert (await ended(engine)).output == "enough"


async def test_an_id_is_free_once_its_instance_has_completed(path: Path) -> None:
    def waits(episode: Episode) -> OrchestratorDecision:
        return OrchestratorDecision(
            outcome=Completed(output="x") if events(episode, HistoryEventKind.EVENT_RAISED) else None
        )

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
        assert [event.kind for event in await engine.history("i")].count(HistoryEventKind.STARTED) <= 1


async def test_a_start_may_go_over_an_instance_that_runs(path: Path) -> None:
    def waits(episode: Episode) -> OrchestratorDecision:
        return OrchestratorDecision()

    async with engine_on(path, ScriptedExecutor(orchestrators={"waits": waits, "one": one_activity})) as engine:
        await engine.start(start("waits"))
        first = await engine.get("i")
        await engine.start(replace(start("one"), execution="another"), replace_running=True)
        second = await ended(engine)
    assert first is not None
    assert (second.name, second.status) == ("one", RuntimeStatus.COMPLETED)
    assert second.execution != first.execution


async def test_an_unknown_instance_accepts_no_message(path: Path) -> None:
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
        path, ScriptedExecutor(orchestrators={"one": one_activity, "w": lambda _: OrchestratorDecision()})
    ) as engine:
        before = time.time_ns() / 1e9
        await engine.start(start("one", "a-1"))
        await engine.start(start("w", "a-2"))
        await ended(engine, "a-1")

        async def ids(query: InstanceQuery) -> list[str]:
            return [one.id for one in await engine.query(query)]

        assert await ids(InstanceQuery(prefix="a-")) == ["a-1", "a-2"]
        assert await ids(InstanceQuery(statuses=frozenset({RuntimeStatus.COMPLETED}))) == ["a-1"]
        assert await ids(InstanceQuery(created_to=before)) == []
        assert await ids(InstanceQuery(created_from=before, prefix="b")) == []


async def test_never_more_activities_at_once_than_allowed(path: Path) -> None:
    async def counted(work: ActivityWorkItem) -> Completed | Failed:
        running.add(work.task)
        most.append(len(running))
        await asyncio.sleep(0.01)
        running.discard(work.task)
        return Completed(output="1")

    def twenty(episode: Episode) -> OrchestratorDecision:
        if len(events(episode, HistoryEventKind.ACTIVITY_COMPLETED)) == 20:
            return OrchestratorDecision(outcome=Completed(output="x"))
        calls = tuple(RunActivity(id=n, name="a", input="1") for n in range(20))
        return OrchestratorDecision() if episode.past_events else OrchestratorDecision(commands=calls)

    running: set[int] = set()
    most: list[int] = []
    executor = ScriptedExecutor(orchestrators={"twenty": twenty}, activity_ends=counted)
    async with engine_on(path, executor) as engine:
        await engine.start(start("twenty"))
        await ended(engine)
    assert max(most) == 5


async def test_an_activity_that_kills_its_worker_too_often_fails(path: Path) -> None:
    async def lost(work: ActivityWorkItem) -> Completed | Failed:
        raise RedeliverError

    def told(episode: Episode) -> OrchestratorDecision:
        failed = events(episode, HistoryEventKind.ACTIVITY_FAILED)
        return OrchestratorDecision(outcome=Completed(output=failed[0].reason)) if failed else one_activity(episode)

    executor = ScriptedExecutor(orchestrators={"told": told}, activity_ends=lost)
    async with engine_on(
        path, executor, EngineLimits(orchestrators=5, activities=5, activity_redeliveries=2)
    ) as engine:
        await engine.start(start("told"))
        found = await ended(engine)
    assert found.output == "Activity function 'a' failed:  the worker died 3 times while it ran"
    assert len(executor.activities) == 3


async def test_an_activity_of_a_removed_instance_is_not_delivered_again(path: Path) -> None:
    async def lost(work: ActivityWorkItem) -> Completed | Failed:
        if len(executor.activities) > 1:
            pytest.fail("it was handed out again")
        begun.set()
        await engine.storage.run(
            engine.store.send, "i", HistoryEvent(kind=HistoryEventKind.TERMINATED, at=0.0, reason="")
        )
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
        assert engine.redeliveries.counts == {}
    assert len(executor.activities) == 1


def asks_twice(episode: Episode) -> OrchestratorDecision:
    done = events(episode, HistoryEventKind.ENTITY_COMPLETED)
    if done:
        return OrchestratorDecision(outcome=Completed(output=done[0].result))
    signal = SignalEntity(id=0, entity="@count@a", operation="up", input=None)
    call = CallEntity(id=1, entity="@count@a", operation="up", input=None)
    return OrchestratorDecision() if episode.past_events else OrchestratorDecision(commands=(signal, call))


async def test_an_entity_answers_its_caller_and_keeps_its_state(path: Path) -> None:
    async with engine_on(path, ScriptedExecutor(orchestrators={"asks": asks_twice})) as engine:
        await engine.start(start("asks"))
        assert (await ended(engine)).output == "2"
    async with engine_on(path, ScriptedExecutor(orchestrators={})) as engine:
        assert await engine.entities.state("@count@a") == "2"


async def test_signals_that_an_earlier_host_left_are_done_in_one_batch(path: Path) -> None:
    database = connect(path)
    for _ in range(3):
        EntityStore(store=TaskHubStore(database)).signal("@count@b", "up", None)
    database.close()
    executor = ScriptedExecutor(orchestrators={})
    async with engine_on(path, executor) as engine:
        await reached(lambda: bool(executor.batches))
        await reached(lambda: not engine.entities.active)
        assert await engine.entities.state("@count@b") == "3"
    assert [len(batch.operations) for batch in executor.batches] == [3]


async def test_a_signal_for_later_goes_out_not_before_its_time_and_once_and_survives_a_restart(path: Path) -> None:
    def signals(episode: Episode) -> OrchestratorDecision:
        signal = SignalEntity(id=0, entity="@count@c", operation="up", input=None, due=due)
        return OrchestratorDecision(commands=(signal,), outcome=Completed(output=None))

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

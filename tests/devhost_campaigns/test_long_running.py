"""Do long-lived data stay small: eternal orchestrations, busy entities, cancelled timers, cached histories?"""

import asyncio
import contextlib
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dateutil.parser import parse
from hypothesis import given
from hypothesis import strategies as st

from devhost.clock import now
from devhost.engine.engine import Engine
from devhost.engine.history_cache import HistoryCache
from devhost.engine.model.commands import (
    CancelTimer,
    Completed,
    ContinuedAsNew,
    OrchestratorDecision,
    RunActivity,
    StartTimer,
)
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.executor import EngineLimits
from devhost.engine.model.work_items import Episode
from devhost.engine.storage.database import connect
from devhost.engine.storage.store import StoredTimer
from devhost.engine.timer_queue import MIN_REBUILD_SIZE, TimerQueue
from devhost.protocol_v1.times import wire_time
from devhost.worker.timestamps import EXAMPLE, READER, fast_reader, use_fast_timestamp_reader
from tests.devhost.engine.scripted_executor import ScriptedExecutor, ended, engine_on, events, reached, start
from tests.devhost_campaigns.in_process import load

ROUNDS = 200
OPERATIONS = 1000
HOUR_S = 3600.0


def eternal(episode: Episode) -> OrchestratorDecision:
    """An activity beside an hour's timer, which it cancels; then the next round, two hundred times."""
    number = int(episode.instance.input or "0")
    if not events(episode, HistoryEventKind.ACTIVITY_COMPLETED):
        waits = (StartTimer(id=0, fire_at=now() + HOUR_S), RunActivity(id=1, name="a", input="1"))
        return OrchestratorDecision(commands=() if events(episode, HistoryEventKind.TIMER_CREATED) else waits)
    if number < ROUNDS:
        return OrchestratorDecision(commands=(CancelTimer(id=0),), outcome=ContinuedAsNew(input=str(number + 1)))
    return OrchestratorDecision(commands=(CancelTimer(id=0),), outcome=Completed(output="tired"))


def rows(database: sqlite3.Connection, table: str) -> int:
    return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - names of this file


async def test_an_eternal_orchestration_leaves_one_round_behind(tmp_path: Path) -> None:
    async with engine_on(tmp_path / "hub.db", ScriptedExecutor(orchestrators={"eternal": eternal})) as engine:
        await engine.start(start("eternal"))
        assert (await ended(engine)).output == "tired"
        database = engine.store.database
        assert [rows(database, name) for name in ("inbox", "work", "timers", "losses")] == [0, 0, 0, 0]
        assert rows(database, "history") < 15
        assert engine.history_cache.event_count == 0


async def test_a_busy_entity_keeps_only_its_state(tmp_path: Path) -> None:
    path, executor = tmp_path / "hub.db", ScriptedExecutor(orchestrators={})
    with closing(connect(path)) as database:
        given = [("@counter@x", "add")] * OPERATIONS
        database.executemany("INSERT INTO operations (entity, name) VALUES (?, ?)", given)
    async with engine_on(path, executor) as engine:
        await reached(lambda: not engine.entities.active)
        assert await engine.entities.state("@counter@x") == str(OPERATIONS)
        assert len(executor.batches) == OPERATIONS / 50
        assert rows(engine.store.database, "operations") == 0


async def test_a_long_history_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("devhost.engine.engine.LONG_HISTORY_EVENTS", 5)
    async with engine_on(tmp_path / "hub.db", ScriptedExecutor(orchestrators={"eternal": eternal})) as engine:
        await engine.start(start("eternal"))
        await ended(engine)
    told = [line for line in capsys.readouterr().out.splitlines() if "warning: the history of" in line]
    assert len(told) == ROUNDS + 1
    assert "orchestrator eternal (i) has 5 events, and every episode replays them" in told[0]


def far(number: int) -> StoredTimer:
    return StoredTimer(fire_at=now() + HOUR_S + number, instance=f"i{number}", execution="e", task=0)


async def test_cancelled_timers_leave_memory_when_they_are_many() -> None:
    alive = [far(number) for number in range(10)]

    async def read() -> list[StoredTimer]:
        return alive

    async def fire(timers: list[StoredTimer]) -> None:
        raise AssertionError(timers)

    timers = TimerQueue(fire=fire, read=read)
    running = asyncio.ensure_future(timers.run())
    timers.add([far(number) for number in range(MIN_REBUILD_SIZE + 1)])
    await reached(lambda: len(timers.heap) == len(alive))
    assert timers.rebuild_size == MIN_REBUILD_SIZE
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_timer_that_is_set_while_the_others_are_read_is_kept() -> None:
    late = StoredTimer(fire_at=now(), instance="late", execution="e", task=0)
    fired: list[StoredTimer] = []

    async def read() -> list[StoredTimer]:
        timers.add([late])
        return [far(0)]

    async def fire(found: list[StoredTimer]) -> None:
        fired.extend(found)

    timers = TimerQueue(fire=fire, read=read)
    running = asyncio.ensure_future(timers.run())
    timers.add([far(number) for number in range(MIN_REBUILD_SIZE + 1)])
    await reached(lambda: fired == [late])
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def some_events(count: int) -> list[HistoryEvent]:
    return [HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=1.0)] * count


def test_histories_forget_the_oldest_when_there_is_no_room() -> None:
    histories = HistoryCache(capacity=10)
    for name in ("a", "b", "c"):
        histories.put(name, f"{name}-1", some_events(4))
    assert histories.get("a") == ("", [])
    assert histories.get("c") == ("c-1", some_events(4))
    histories.put("c", "c-1", some_events(6))
    assert histories.get("b") == ("b-1", some_events(4))
    histories.put("d", "d-1", some_events(11))
    assert [histories.get(name)[0] for name in "abcd"] == ["", "", "", ""]
    assert histories.event_count == 0


def at_once(episode: Episode) -> OrchestratorDecision:
    return OrchestratorDecision(outcome=Completed(output="done"))


def never(episode: Episode) -> OrchestratorDecision:
    return OrchestratorDecision()


async def waited(engine: Engine, instance: str, patience_s: float) -> str | None:
    found = await engine.wait_for_completion(instance, patience_s)
    return found.output if found else None


async def test_waiters_are_notified_and_removed(tmp_path: Path) -> None:
    executor = ScriptedExecutor(orchestrators={"at_once": at_once, "never": never})
    async with engine_on(tmp_path / "hub.db", executor, EngineLimits(orchestrators=5, activities=5)) as engine:
        both = asyncio.gather(waited(engine, "i", 10), waited(engine, "i", 10))
        await engine.start(start("at_once"))
        assert await both == ["done", "done"]
        assert await waited(engine, "i", 10) == "done"
        await engine.start(start("never", "n"))
        assert await waited(engine, "n", 0.01) is None
        assert await waited(engine, "nobody", 0.01) is None
        assert engine.completion_waiters.waiting == {}


@given(st.floats(0, 4e9))
def test_this_hosts_stamps_are_read_as_dateutil_reads_them(at: float) -> None:
    text = wire_time(at)
    asked: list[str] = []
    read = fast_reader(lambda stamp: (asked.append(stamp), parse(stamp))[1])(text)
    assert read == parse(text)
    assert type(read.tzinfo) is type(parse(text).tzinfo)
    assert asked == [EXAMPLE]


@pytest.mark.parametrize("text", ["2026-11-22T05:06:29Z", "2026-11-22T05:06:29.18+02:00", "22 Nov 2026 05:06"])
def test_other_stamps_are_left_to_dateutil(text: str) -> None:
    assert fast_reader(parse)(text) == parse(text)


def test_the_sdk_reads_with_it() -> None:
    load()
    module: Any = sys.modules[READER]
    original = module.dt_parse
    try:
        use_fast_timestamp_reader()
        assert module.HistoryEvent(12, -1, True, wire_time(1.5)).timestamp == parse("1970-01-01T00:00:01.5Z")
        assert module.dt_parse is not original
    finally:
        module.dt_parse = original

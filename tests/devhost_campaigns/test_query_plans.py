"""Do the queries of every episode stay fast when the database grows?"""

import sqlite3
from pathlib import Path

from devhost.engine.engine import Engine
from devhost.engine.model.commands import (
    CallEntity,
    Completed,
    OrchestratorDecision,
    RunActivity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.instances import InstanceQuery, RuntimeStatus
from devhost.engine.model.work_items import Episode
from tests.devhost.engine.scripted_executor import ScriptedExecutor, ended, engine_on, events, start

DONE = (
    HistoryEventKind.ACTIVITY_COMPLETED,
    HistoryEventKind.TIMER_FIRED,
    HistoryEventKind.CHILD_COMPLETED,
    HistoryEventKind.ENTITY_COMPLETED,
)


def everything(episode: Episode) -> OrchestratorDecision:
    if sum(len(events(episode, kind)) for kind in DONE) == len(DONE):
        return OrchestratorDecision(outcome=Completed(output="all"))
    begun = (
        RunActivity(id=0, name="a", input="1"),
        StartTimer(id=1, fire_at=episode.new_events[0].at),
        StartChild(id=2, name="child", instance="c", input="2"),
        CallEntity(id=3, entity="@counter@x", operation="add", input="1"),
    )
    return OrchestratorDecision(commands=() if events(episode, HistoryEventKind.TIMER_CREATED) else begun)


def child(episode: Episode) -> OrchestratorDecision:
    return OrchestratorDecision(outcome=Completed(output="1"))


def scans(database: sqlite3.Connection, statements: set[str]) -> list[str]:
    """The statements that read a whole table."""
    return [
        statement
        for statement in sorted(statements)
        if not statement.startswith(("BEGIN", "COMMIT", "EXPLAIN", "PRAGMA"))
        and any(step.startswith("SCAN") for step in plan(database, statement))
    ]


def plan(database: sqlite3.Connection, statement: str) -> list[str]:
    text = statement.replace("Inf", "9e999")
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()]


async def live(engine: Engine) -> None:
    await engine.start(start("everything"))
    assert (await ended(engine)).output == "all"
    await engine.start(start("everything"))
    await engine.send("i", HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=1.0, name="e", input="1"))
    assert (await ended(engine)).output == "all"
    running = frozenset({RuntimeStatus.PENDING, RuntimeStatus.RUNNING})
    await engine.query(InstanceQuery(statuses=running, limit=1))
    await engine.query(InstanceQuery(after=(1.0, "i"), limit=10))


async def test_no_turn_reads_a_whole_table(tmp_path: Path) -> None:
    asked: set[str] = set()
    executor = ScriptedExecutor(orchestrators={"everything": everything, "child": child})
    async with engine_on(tmp_path / "hub.db", executor) as engine:
        database = engine.store.database
        database.set_trace_callback(asked.add)
        await live(engine)
        database.set_trace_callback(None)
        assert len(asked) > 30
        found = scans(database, asked)
    assert found == []

"""What happens if the host dies between any two of its commits?"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import override

import pytest

from devhost.engine.background_tasks import BackgroundTasks
from devhost.engine.engine import Engine
from devhost.engine.model.commands import (
    Completed,
    OrchestratorDecision,
    RunActivity,
    SchedulingCommand,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEventKind
from devhost.engine.model.executor import EngineLimits
from devhost.engine.model.work_items import Episode
from devhost.engine.storage.database import StorageThread, connect
from devhost.engine.storage.store import TaskHubStore
from tests.devhost.engine.scripted_executor import ScriptedExecutor, ended, engine_on, events, start

COMMITS = 12


class CrashError(Exception):
    """The host is dead from here on."""


class CrashingStore(TaskHubStore):
    """Commits so many times, then never again."""

    def __init__(self, database: sqlite3.Connection, *, lives: int) -> None:
        super().__init__(database)
        self.lives = lives

    @override
    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        if self.lives == 0:
            raise CrashError
        self.lives -= 1
        with super().transaction() as database:
            yield database


def story(episode: Episode) -> OrchestratorDecision:
    """An activity, then a timer and a child together, then another activity."""
    steps: list[tuple[SchedulingCommand, ...]] = [
        (RunActivity(id=0, name="a", input="1"),),
        (StartTimer(id=1, fire_at=episode.new_events[0].at), StartChild(id=2, name="child", instance="c", input="2")),
        (RunActivity(id=3, name="a", input="3"),),
    ]
    completions = (HistoryEventKind.ACTIVITY_COMPLETED, HistoryEventKind.TIMER_FIRED, HistoryEventKind.CHILD_COMPLETED)
    done = {event.task for kind in completions for event in events(episode, kind)}
    before = {event.id for event in episode.past_events}
    for step in steps:
        if not {command.id for command in step} <= done:
            return OrchestratorDecision(commands=tuple(command for command in step if command.id not in before))
    return OrchestratorDecision(outcome=Completed(output="told"))


def child(episode: Episode) -> OrchestratorDecision:
    return OrchestratorDecision(outcome=Completed(output=episode.instance.input))


def executor() -> ScriptedExecutor:
    return ScriptedExecutor(orchestrators={"story": story, "child": child})


async def live_and_die(path: Path, lives: int) -> None:
    """A host that dies after so many commits, if it needs so many."""
    storage = StorageThread(asyncio.get_running_loop())
    died = asyncio.Event()
    failures: list[BaseException] = []

    def on_failure(error: BaseException) -> None:
        failures.append(error)
        died.set()

    tasks = BackgroundTasks(on_failure)
    database = connect(path)
    store = CrashingStore(database, lives=lives)
    engine = Engine(
        store=store,
        storage=storage,
        executor=executor(),
        limits=EngineLimits(orchestrators=2, activities=2),
        tasks=tasks,
    )
    storage.start()
    with contextlib.suppress(CrashError):
        await engine.recover()
        waits = {asyncio.ensure_future(died.wait()), asyncio.ensure_future(ended(engine))}
        _, others = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
    engine.stop()
    await engine.running.stop()
    await tasks.stop()
    storage.stop()
    database.close()
    assert {type(failure) for failure in failures} <= {CrashError}


@pytest.mark.parametrize("lives", range(COMMITS))
async def test_a_host_that_dies_between_any_two_commits_completes_the_orchestration(tmp_path: Path, lives: int) -> None:
    path = tmp_path / "hub.db"
    database = connect(path)
    TaskHubStore(database).start(start("story"))
    database.close()
    await live_and_die(path, lives)
    async with engine_on(path, executor()) as engine:
        assert (await ended(engine)).output == "told"
        history = await engine.history("i")
    assert sorted(event.task for event in history if event.task >= 0) == [0, 1, 2, 3]
    assert sorted(event.id for event in history if event.id >= 0) == [0, 1, 2, 3]


async def test_a_host_that_dies_at_every_commit_still_completes(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    database = connect(path)
    TaskHubStore(database).start(start("story"))
    database.close()
    for _ in range(COMMITS):
        await live_and_die(path, 2)
    async with engine_on(path, executor()) as engine:
        assert (await ended(engine)).output == "told"

"""Does an orchestration complete, once and right, if any one statement of the host's database fails?"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from devhost.engine.model.instances import TaskHubUnavailableError
from devhost.engine.storage.database import connect
from devhost.engine.storage.store import TaskHubStore
from tests.devhost.engine.failing_database import CODES, FailingConnection, Fault, arm
from tests.devhost.engine.scripted_executor import ScriptedExecutor, ended, engine_on, one_activity, reached, start
from tests.devhost.test_crashes import executor

FIRST, LAST, LEAST_FAULTS = 1, 90, 25
ALL_FAULTS: list[Fault] = [(code, ended) for code in CODES for ended in (False, True)]


def at(number: int, fault: Fault, count: int = 1) -> Callable[[], Fault | None]:
    """Statements `number`, `number` + 1 … fail, `count` of them."""
    seen = 0

    def next_fault() -> Fault | None:
        nonlocal seen
        seen += 1
        return fault if number <= seen < number + count else None

    return next_fault


async def complete(path: Path, next_fault: Callable[[], Fault | None]) -> int:
    """Runs the story; returns how many statements failed."""
    path.parent.mkdir()
    database = connect(path)
    TaskHubStore(database).start(start("story"))
    database.close()
    failing = connect(path, FailingConnection)
    arm(failing, next_fault)
    async with engine_on(path, executor(), database=failing) as engine:
        assert (await ended(engine)).output == "told"
        history = await engine.storage.persist(engine.store.history, "i")
        await reached(lambda: engine.storage.outage.reason is None)
    assert sorted(event.task for event in history if event.task >= 0) == [0, 1, 2, 3]
    assert sorted(event.id for event in history if event.id >= 0) == [0, 1, 2, 3]
    return sum(failing.injected.values())


async def test_an_orchestration_completes_whichever_statement_fails(tmp_path: Path) -> None:
    """The statements differ a little from run to run: clients ask while the story is told."""
    faults = [
        await complete(tmp_path / str(number) / "hub.db", at(number, ALL_FAULTS[number // 2 % len(ALL_FAULTS)]))
        for number in range(FIRST, LAST, 2)
    ]
    assert sum(faults) >= LEAST_FAULTS


@pytest.mark.campaign
async def test_an_orchestration_completes_whichever_statements_fail_in_any_way(tmp_path: Path) -> None:
    faults = [
        await complete(tmp_path / f"{number}-{kind}" / "hub.db", at(number, fault, 3))
        for number in range(FIRST, LAST)
        for kind, fault in enumerate(ALL_FAULTS)
    ]
    assert sum(faults) >= LEAST_FAULTS * 3 * len(ALL_FAULTS)
    print(f"{sum(faults)} faults injected in {len(faults)} runs")  # noqa: T201 - the figure of the campaign


async def test_a_failed_commit_leaves_no_open_transaction(tmp_path: Path) -> None:
    """The next transaction would fail for ever: a transaction can't be started within a transaction."""
    database = connect(tmp_path / "hub.db", FailingConnection)
    store = TaskHubStore(database)
    for code in CODES:
        arm(database, lambda code=code: (code, False))
        with pytest.raises(sqlite3.OperationalError):
            store.start(start("story"))
        arm(database, lambda: None)
        assert store.get("i") is None
        assert not database.in_transaction
    store.start(start("story"))
    assert store.get("i") is not None
    database.close()


async def test_an_error_that_does_not_pass_is_not_repeated(tmp_path: Path) -> None:
    async with engine_on(tmp_path / "hub.db", ScriptedExecutor(orchestrators={"one": one_activity})) as engine:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await engine.storage.persist(engine.store.database.execute, "SELECT 1 FROM missing")


async def test_a_request_is_refused_while_the_database_fails(tmp_path: Path) -> None:
    failing = connect(tmp_path / "hub.db", FailingConnection)
    executor = ScriptedExecutor(orchestrators={"one": one_activity})
    async with engine_on(tmp_path / "hub.db", executor, database=failing) as engine:
        arm(failing, lambda: (sqlite3.SQLITE_FULL, True))
        with pytest.raises(TaskHubUnavailableError, match="disk is full"):
            await engine.start(start("one"))
        arm(failing, lambda: None)
        await engine.start(start("one"))
        assert (await ended(engine)).output == "1"

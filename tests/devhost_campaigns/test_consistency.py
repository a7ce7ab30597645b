"""Does the consistency check find each kind of inconsistency?"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from devhost.engine.model.instances import RuntimeStatus
from tests.devhost_campaigns.consistency import inconsistencies, unfinished
from tests.devhost_campaigns.crashing_engine import ROOT, CrashScenario
from tests.devhost_campaigns.in_process import Faults, load

PROGRAM = {"steps": [["echo", 1], ["sleep", 5], ["echo", 2]], "rounds": 1, "fails": False}
DOUBLED = """INSERT INTO history SELECT instance, (SELECT max(seq) + 1 FROM history), event FROM history
WHERE event LIKE '%activity_completed%' LIMIT 1"""
CUT = """DELETE FROM history WHERE seq >= (SELECT min(seq) FROM history WHERE event LIKE '%activity_completed%')"""

pytestmark = pytest.mark.filterwarnings("ignore:azure.functions df_loads:DeprecationWarning")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hub.db"
    calm = Faults(lost=0.0, longest_s=0.0)
    random = Random(0)  # noqa: S311 - a test's seed
    story = CrashScenario(app=load(), path=path, program=PROGRAM, raises=[], random=random, crashes=0, troubles=calm)
    assert asyncio.run(story.run()).status is RuntimeStatus.COMPLETED
    return path


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_good_books_show_nothing(path: Path) -> None:
    assert inconsistencies(path) == []
    assert unfinished(path, [ROOT]) == []


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DELETE FROM history WHERE seq = 4", "its history has holes"),
        (DOUBLED, "has 2 results"),
        ("UPDATE instances SET status = 'Running'", "its history tells of the ends"),
        ("INSERT INTO timers VALUES ('p', 'e', 9, 1)", "its timers [9] run"),
        (
            "UPDATE history SET event = json_set(event, '$.at', 1) WHERE event LIKE '%timer_fired%'",
            "timer 1 fired early",
        ),
        (
            "INSERT INTO work (instance, execution, task, name, input) VALUES ('p', 'e', 0, 'echo', '1')",
            "task 0 has its result and is yet to run",
        ),
        (
            "UPDATE history SET event = json_set(event, '$.task', 1) WHERE event LIKE '%activity_completed%'",
            "activity_completed of task 1, which is timer_created",
        ),
    ],
)
def test_every_inconsistency_is_found(path: Path, statement: str, complaint: str) -> None:
    tamper(path, statement)
    assert complaint in "\n".join(inconsistencies(path))


def test_a_missing_activity_is_found(path: Path) -> None:
    tamper(path, "UPDATE instances SET status = 'Running'", CUT)
    assert inconsistencies(path) == ["p: activity 0 is lost"]


def test_a_missing_start_is_found(path: Path) -> None:
    tamper(path, "UPDATE instances SET status = 'Pending'", "DELETE FROM history")
    assert inconsistencies(path) == ["p: its start is lost"]
    assert unfinished(path, [ROOT, "q"]) == ["p: Pending", "q: gone"]

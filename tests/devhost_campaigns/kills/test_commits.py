"""Is the database consistent if the host dies before or after any one of its commits?"""

import os
import sys
from pathlib import Path
from random import Random
from typing import override

import pytest

from tests.devhost.hosts import RunningHost, until
from tests.devhost_campaigns.consistency import inconsistencies
from tests.devhost_campaigns.in_process import APP
from tests.devhost_campaigns.kills.load_and_kills import GOLDEN, Clients, KilledHost

SAMPLE = int(os.environ.get("TEST_KILLS", "5"))
LEAST_COMMITS = 60
AFTER_THE_LAST = "0-"


class CrashingHost(RunningHost):
    @property
    @override
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.devhost_campaigns.kills.crashing_host", *super().command[3:]]


def tell(folder: Path, moment: str) -> int:
    """Plays the golden program on a host that dies at a moment, then on one that lives; returns the commits."""
    folder.mkdir()
    (folder / "notes").mkdir()
    counted = folder / "commits"
    environment = {"NOTES": str(folder / "notes"), "DIES_AT": moment, "COMMITS": str(counted)}
    mortal = CrashingHost(app=APP, folder=folder, environment=environment)
    callers = Clients(mortal, iter([GOLDEN]))
    host = RunningHost(app=APP, folder=folder, environment=environment)
    try:
        mortal.spawn()
        until(lambda: mortal.ended() or mortal.state.get("ready"), "the host dies or is ready")
        callers.start()
        until(lambda: mortal.ended() or callers.finished(), "the host dies or the program ends")
        mortal.kill()
        assert inconsistencies(folder / "hub.db") == []
        host.start()
        KilledHost(host=host, clients=callers, random=Random(0)).finish()  # noqa: S311 - nothing is drawn
    finally:
        callers.stopping.set()
        mortal.kill()
        host.kill()
    return int(counted.read_text(encoding="utf-8")) if counted.exists() else 0


def tell_all(folder: Path, moments: list[str]) -> None:
    for moment in moments:
        print(f"dies at {moment}")  # noqa: T201 - which moment it was, when one fails
        tell(folder / moment, moment)


def every_moment(commits: int) -> list[str]:
    return [f"{number}{side}" for number in range(1, commits + 1) for side in "-+"]


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_a_host_that_dies_at_some_of_its_commits_completes_the_orchestration(tmp_path: Path, random: Random) -> None:
    commits = tell(tmp_path / "whole", AFTER_THE_LAST)
    assert commits >= LEAST_COMMITS
    tell_all(tmp_path, random.sample(every_moment(commits), SAMPLE))


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_a_host_that_dies_at_any_of_its_commits_completes_the_orchestration(tmp_path: Path) -> None:
    tell_all(tmp_path, every_moment(tell(tmp_path / "whole", AFTER_THE_LAST)))

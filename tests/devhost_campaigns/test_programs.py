"""Does a random program have the same result with and without faults?"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from devhost.engine.model.instances import OrchestrationInstance, RuntimeStatus
from tests.devhost_campaigns.conftest import SEED
from tests.devhost_campaigns.consistency import inconsistencies
from tests.devhost_campaigns.crashing_engine import ROOT, CrashScenario
from tests.devhost_campaigns.in_process import load
from tests.devhost_campaigns.programs import Program, ReferenceRun, matches, programs

pytestmark = [
    pytest.mark.filterwarnings("ignore:azure.functions df_loads:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion:UserWarning"),
]
QUICK, CAMPAIGN, LONG = 25, 150, 2000
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
TOTALS: Counter[str] = Counter()
OPTIONS: dict[str, Any] = {"phases": PHASES, "database": None, "print_blob": True}


def ends_as(plainly: ReferenceRun, program: Program) -> tuple[RuntimeStatus, Any]:
    results = plainly.play(ROOT, program, ROOT)
    return (RuntimeStatus.FAILED, None) if program["fails"] else (RuntimeStatus.COMPLETED, results)


def play(program: Program, number: int, crashes: int) -> None:
    """Every second story also has a database whose statements fail, 5 to 10 % of them."""
    random = Random(number)  # noqa: S311 - a test's seed
    plainly = ReferenceRun()
    status, results = ends_as(plainly, program)
    with TemporaryDirectory() as folder:
        os.environ["NOTES"] = folder
        path = Path(folder) / "hub.db"
        story = CrashScenario(
            app=load(),
            path=path,
            program=program,
            raises=plainly.raises,
            random=random,
            crashes=crashes,
            statement_faults=random.choice((0.0, random.uniform(0.05, 0.1))),
        )
        found = asyncio.run(story.run())
        TOTALS.update(
            stories=1,
            crashes=len(story.happened),
            faults=story.injected.total(),
            failing_databases=bool(story.injected),
        )
        assert inconsistencies(path) == []
        check(found, plainly, status, results)


def check(found: OrchestrationInstance, plainly: ReferenceRun, status: RuntimeStatus, results: Any) -> None:
    assert found.status is status, found.output
    assert found.custom_status == (None if plainly.status is None else json.dumps(plainly.status))
    if status is RuntimeStatus.COMPLETED:
        assert matches(results, json.loads(found.output or "null")), (results, found.output)


@pytest.fixture(autouse=True)
def figures() -> Iterator[None]:
    """Prints the campaign's figures."""
    TOTALS.clear()
    yield
    print(dict(TOTALS))  # noqa: T201 - the figures of the campaign


STORIES = {"program": programs(), "number": st.integers(0, 2**32), "crashes": st.integers(0, 6)}


@pytest.mark.timeout(600)
@pytest.mark.flaky(reruns=0)
@seed(int(SEED))
@settings(max_examples=QUICK, **OPTIONS)
@given(**STORIES)
def test_a_program_has_the_same_result_with_failures(program: Program, number: int, crashes: int) -> None:
    play(program, number, crashes)


@pytest.mark.campaign
@pytest.mark.timeout(900)
@pytest.mark.flaky(reruns=0)
@seed(int(SEED) + 1)
@settings(max_examples=CAMPAIGN, **OPTIONS)
@given(**STORIES)
def test_many_programs_come_to_the_same_under_fire(program: Program, number: int, crashes: int) -> None:
    play(program, number, crashes)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.flaky(reruns=0)
@seed(int(SEED) + 2)
@settings(max_examples=LONG, **OPTIONS)
@given(**STORIES)
def test_thousands_of_programs_come_to_the_same(program: Program, number: int, crashes: int) -> None:
    play(program, number, crashes)

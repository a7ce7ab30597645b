"""Is everything complete after hundreds of `kill -9`s of worker, host or both, at random moments?"""

import os
from itertools import repeat
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.devhost_campaigns.conftest import SEED
from tests.devhost_campaigns.kills.load_and_kills import GOLDEN, host_under_load
from tests.devhost_campaigns.programs import Program, programs

KILLS = int(os.environ.get("TEST_KILLS", "20"))
ALL_KILLS = 500


def survive(folder: Path, random: Random, kills: int) -> None:
    with host_under_load(folder, repeat(GOLDEN), random) as fire:
        fire.kill(kills)
        fire.finish()
    print(f"{kills} kills {fire.counts}, {len(fire.clients.done)} orchestrations ended once and right")  # noqa: T201 - the figure of the campaign


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_by_a_few_kills(tmp_path: Path, random: Random) -> None:
    survive(tmp_path, random, 2)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_doubled_by_a_sample_of_the_kills(tmp_path: Path, random: Random) -> None:
    survive(tmp_path, random, KILLS)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_nothing_is_lost_or_doubled_by_five_hundred_kills(tmp_path: Path, random: Random) -> None:
    survive(tmp_path, random, ALL_KILLS)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@seed(int(SEED))
@settings(
    max_examples=2,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(coming=st.lists(programs(), min_size=10, max_size=10), number=st.integers(0, 2**32))
def test_random_programs_come_to_the_same_under_kills(
    tmp_path_factory: pytest.TempPathFactory, coming: list[Program], number: int
) -> None:
    folder, chances = tmp_path_factory.mktemp("fire"), Random(number)  # noqa: S311 - a test's seed
    with host_under_load(folder, iter(coming), chances) as fire:
        fire.kill(4)
        fire.finish()

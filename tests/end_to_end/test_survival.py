"""Does a streamed turn survive `kill -9` of anything at any moment?"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from random import Random

import pytest

from standins.stage import Stage
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import AFRESH, PINNED, Json, Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty

SAMPLED = int(os.environ.get("GANGLION_KILLS_SAMPLED", "3"))
KILLS = int(os.environ.get("GANGLION_KILLS", "20"))
LONGEST_S = 1.7
LENGTH = 140
FOLLOWED_S = 60


def kill_worker(stage: Stage) -> None:
    stage.wait_worker(other_than=stage.kill_worker())


def kill_host(stage: Stage) -> None:
    stage.kill_host()
    stage.restart_host()


def kill_both(stage: Stage) -> None:
    stage.kill_worker()
    stage.kill_host()
    stage.restart_host()


def kill_model(stage: Stage) -> None:
    stage.kill_model("scripted")
    stage.restart_model("scripted")


VICTIMS: Mapping[str, Callable[[Stage], None]] = {
    "worker": kill_worker,
    "host": kill_host,
    "both": kill_both,
    "model": kill_model,
}


def rounds() -> Iterator[object]:
    """Every victim in every round, so that a host is fresh before its restarts of workers get slow."""
    for number in range(SAMPLED + KILLS):
        campaign = number >= SAMPLED
        name = f"campaign-{number - SAMPLED}" if campaign else f"sample-{number}"
        marks = [pytest.mark.campaign] if campaign else []
        yield from (pytest.param(victim, id=f"{name}-{victim}", marks=marks) for victim in VICTIMS)


@pytest.fixture(scope="module")
def mortal_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(hasty(tmp_path_factory.mktemp("mortal"))) as stage:
        yield stage


@pytest.fixture
async def mortal(mortal_stage: Stage) -> AsyncIterator[Scene]:
    async with calling(mortal_stage) as caller, books_of(mortal_stage.data) as books:
        await books.forget_beliefs()
        yield Scene(stage=mortal_stage, caller=caller, books=books)


async def followed_through(scene: Scene, kill: Callable[[Stage], None], after_s: float, *bodies: Json) -> list[Reading]:
    """Follow turns to their ends and kill `after_s` seconds after they were sent."""
    async with asyncio.timeout(FOLLOWED_S), asyncio.TaskGroup() as group:
        following = [group.create_task(scene.caller.follow(body)) for body in bodies]
        await asyncio.sleep(after_s)
        await asyncio.to_thread(kill, scene.stage)
    return [task.result() for task in following]


async def assert_survived(scene: Scene, readings: list[Reading], text: str) -> None:
    for reading in readings:
        await scene.books.assert_exact(reading, text)
        await scene.books.settled(scene.caller, reading.id)
    assert await scene.books.unfinished() == []


@pytest.mark.parametrize("victim", list(rounds()))
async def test_a_stream_goes_on_exactly_after_a_kill_at_a_random_moment(
    mortal: Scene, victim: str, random: Random
) -> None:
    after_s = random.uniform(0, LONGEST_S)
    bodies = [asking(f"COUNT {LENGTH}", model) for model in (PINNED, AFRESH)]
    readings = await followed_through(mortal, VICTIMS[victim], after_s, *bodies)
    await assert_survived(mortal, readings, counted(LENGTH))
    await mortal.books.quiet(mortal.caller)

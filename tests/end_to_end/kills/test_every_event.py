"""Is a stream whole, and the same for every reader, whatever was killed behind whichever of its events?"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from random import Random

import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import AFRESH, PINNED, Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.kills.test_survival import KILLS, kill_host, kill_worker
from tests.end_to_end.views import assert_equals_log, assert_one_stream, assert_views_agree

WORDS_S = 20.0
"""So slow that each word is a slot, and each slot's text one event."""

WORDS = 14
EVENTS = WORDS + 8
FOLLOWED_S = 60
VARIES = "VARY 4"
"""Counts to four and goes on differently at each asking: a backend that can't continue shows a second item."""


def kill_model(cluster: LocalCluster, name: str) -> None:
    cluster.kill_model(name)
    cluster.restart_model(name)


VICTIMS: Mapping[str, tuple[Callable[[LocalCluster], None], str, str]] = {
    "host": (kill_host, PINNED, f"COUNT {WORDS}"),
    "worker": (kill_worker, PINNED, f"COUNT {WORDS}"),
    "backend": (partial(kill_model, name="scripted"), PINNED, f"COUNT {WORDS}"),
    "host, afresh": (kill_host, AFRESH, VARIES),
    "backend, afresh": (partial(kill_model, name="scripted-afresh"), AFRESH, f"COUNT {WORDS}"),
}
"""What is killed, which model is asked, and for what."""


def moments() -> Iterator[object]:
    """One drawn event for each victim is of every run, a few more are the campaign's, and all the long campaign's."""
    for victim in VICTIMS:
        often = victim in {"host", "backend"}
        yield pytest.param(victim, None, id=f"{victim}-drawn", marks=[] if often else [pytest.mark.campaign])
    for number in range(KILLS):
        victim = list(VICTIMS)[number % len(VICTIMS)]
        yield pytest.param(victim, None, id=f"{victim}-sample-{number}", marks=[pytest.mark.campaign])
    for victim in VICTIMS:
        for index in range(EVENTS):
            marks = [pytest.mark.campaign, pytest.mark.long]
            yield pytest.param(victim, index, id=f"{victim}-event-{index}", marks=marks)


@pytest.fixture(scope="module")
def slow_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(hasty(tmp_path_factory.mktemp("every"), rate=WORDS_S)) as cluster:
        yield cluster


@pytest.fixture
async def slow(slow_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(slow_cluster) as caller, books_of(slow_cluster.data) as books:
        await books.forget_backend_states()
        yield Scene(cluster=slow_cluster, caller=caller, books=books)


@pytest.mark.parametrize(("victim", "index"), list(moments()))
async def test_every_view_of_a_stream_is_the_same_after_a_kill_behind_one_of_its_events(
    slow: Scene, victim: str, index: int | None, random: Random
) -> None:
    kill, model, command = VICTIMS[victim]
    at = random.randrange(EVENTS) if index is None else index
    reading = Reading(body={**asking(command, model), "stream": True})
    async with asyncio.timeout(FOLLOWED_S):
        await slow.caller.follow_on(reading, until=at + 1)
        await asyncio.to_thread(kill, slow.cluster)
        await slow.caller.follow_on(reading)
    assert_one_stream(reading)
    points = (0, at, *(random.randrange(len(reading.events)) for _ in range(3)))
    await assert_views_agree(slow.caller, reading, *(point for point in points if point < len(reading.events)))
    texts = await assert_equals_log(slow.books, reading)
    assert reading.types[-1] == "response.completed"
    assert texts == [counted(WORDS)] or (model == AFRESH and command == VARIES and len(texts) <= 2)
    await slow.books.settled(slow.caller, reading.id)

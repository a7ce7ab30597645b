"""Does a streamed turn survive `kill -9` of anything at any moment?"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from random import Random

import httpx
import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import AFRESH, PINNED, Json, Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.stores.talks import talk_outlives
from tests.end_to_end.waiting import eventually

SAMPLED = int(os.environ.get("TEST_KILLS_SAMPLED", "3"))
KILLS = int(os.environ.get("TEST_KILLS", "20"))
LONGEST_S = 1.7
LENGTH = 140
FOLLOWED_S = 60
DELIVERIES = 5


def kill_worker(cluster: LocalCluster) -> None:
    cluster.wait_worker(other_than=cluster.kill_worker())


def kill_host(cluster: LocalCluster) -> None:
    cluster.kill_host()
    cluster.restart_host()


def kill_both(cluster: LocalCluster) -> None:
    cluster.kill_worker()
    cluster.kill_host()
    cluster.restart_host()


def kill_model(cluster: LocalCluster) -> None:
    cluster.kill_model("scripted")
    cluster.restart_model("scripted")


VICTIMS: Mapping[str, Callable[[LocalCluster], None]] = {
    "worker": kill_worker,
    "host": kill_host,
    "both": kill_both,
    "model": kill_model,
}


def rounds(sampled: int, kills: int, *victims: str) -> Iterator[object]:
    """Every victim in every round, so that a host is fresh before its restarts of workers get slow."""
    for number in range(sampled + kills):
        campaign = number >= sampled
        name = f"campaign-{number - sampled}" if campaign else f"sample-{number}"
        marks = [pytest.mark.campaign] if campaign else []
        yield from (pytest.param(victim, id=f"{name}-{victim}", marks=marks) for victim in victims)


@pytest.fixture(scope="module")
def mortal_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(hasty(tmp_path_factory.mktemp("mortal"))) as cluster:
        yield cluster


@pytest.fixture
async def mortal(mortal_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(mortal_cluster) as caller, books_of(mortal_cluster.data) as books:
        await books.forget_backend_states()
        yield Scene(cluster=mortal_cluster, caller=caller, books=books)


async def followed_through(
    scene: Scene, kill: Callable[[LocalCluster], None], after_s: float, *bodies: Json
) -> list[Reading]:
    """Follow turns to their ends and kill `after_s` seconds after they were sent."""
    async with asyncio.timeout(FOLLOWED_S), asyncio.TaskGroup() as group:
        following = [group.create_task(scene.caller.follow(body)) for body in bodies]
        await asyncio.sleep(after_s)
        await asyncio.to_thread(kill, scene.cluster)
    return [task.result() for task in following]


async def assert_survived(scene: Scene, readings: list[Reading], text: str) -> None:
    for reading in readings:
        await scene.books.assert_exact(reading, text)
        await scene.books.settled(scene.caller, reading.id)
    assert await scene.books.unfinished() == []


@pytest.mark.parametrize("victim", list(rounds(SAMPLED, KILLS, *VICTIMS)))
async def test_a_stream_goes_on_exactly_after_a_kill_at_a_random_moment(
    mortal: Scene, victim: str, random: Random
) -> None:
    after_s = random.uniform(0, LONGEST_S)
    bodies = [asking(f"COUNT {LENGTH}", model) for model in (PINNED, AFRESH)]
    readings = await followed_through(mortal, VICTIMS[victim], after_s, *bodies)
    await assert_survived(mortal, readings, counted(LENGTH))
    await mortal.books.quiet(mortal.caller)


@pytest.mark.parametrize("victim", ["host", *rounds(0, KILLS // 10, "worker", "host", "both")])
async def test_a_turn_that_waits_for_its_backend_outlives_a_kill(mortal: Scene, victim: str, random: Random) -> None:
    body = asking("FAIL 503 x2 COUNT 30")
    [reading] = await followed_through(mortal, VICTIMS[victim], random.uniform(0.1, LONGEST_S), body)
    await assert_survived(mortal, [reading], counted(30))
    assert 3 <= len(await mortal.caller.model_calls(body)) <= 4


@pytest.mark.campaign
async def test_a_turn_whose_worker_dies_again_and_again_is_given_up(mortal: Scene) -> None:
    body = asking("COUNT 1000")
    reading = Reading(body={**body, "stream": True})
    for _ in range(DELIVERIES):
        await mortal.caller.follow_on(reading, until=len(reading.events) + 5)
        await asyncio.to_thread(kill_worker, mortal.cluster)
    await mortal.caller.follow_on(reading)
    assert reading.numbers == list(range(len(reading.events)))
    assert reading.types[-1] == "response.failed"
    assert f"interrupted {DELIVERIES} times" in reading.response["error"]["message"]
    assert counted(1000).startswith(reading.text)
    assert len(await mortal.caller.model_calls(body)) == DELIVERIES
    await mortal.books.settled(mortal.caller, reading.id)


@pytest.mark.parametrize("victim", ["worker", *rounds(0, KILLS // 10, "worker", "host")])
async def test_a_cancel_right_before_or_after_a_kill_ends_the_turn_and_its_bill(
    mortal: Scene, victim: str, random: Random
) -> None:
    reading = Reading(body={**asking("COUNT 1000"), "stream": True, "background": True})
    await mortal.caller.follow_on(reading, until=random.randint(1, 12))
    killing = asyncio.ensure_future(asyncio.to_thread(VICTIMS[victim], mortal.cluster))
    await asyncio.sleep(random.uniform(0, 0.02))
    await eventually(lambda: cancelled(mortal, reading.id), within_s=FOLLOWED_S, what="a cancel that arrives")
    await killing
    async with asyncio.timeout(FOLLOWED_S):
        await mortal.caller.follow_on(reading)
    assert reading.types[-1] == "response.failed"
    assert reading.response["status"] == "cancelled"
    assert reading.numbers == list(range(len(reading.events)))
    await mortal.books.settled(mortal.caller, reading.id)


async def cancelled(scene: Scene, response_id: str) -> bool | None:
    try:
        answer = await scene.caller.cancel(response_id)
    except httpx.TransportError:
        return None
    assert answer.status_code in {200, 502, 503}, answer.text
    return True if answer.status_code == 200 else None


@pytest.mark.parametrize("victim", ["worker", *rounds(0, KILLS // 10, "worker", "host")])
async def test_a_create_without_a_stream_is_answered_by_the_repeats_of_the_sdk(
    mortal: Scene, victim: str, random: Random
) -> None:
    async with mortal.caller.sdk(max_retries=20) as sdk, asyncio.timeout(FOLLOWED_S):
        asked = asking(f"COUNT {LENGTH}")
        creating = asyncio.ensure_future(
            sdk.responses.create(model=asked["model"], input=asked["input"], instructions=asked["instructions"])
        )
        await asyncio.sleep(random.uniform(0, LONGEST_S))
        await asyncio.to_thread(VICTIMS[victim], mortal.cluster)
        response = await creating
    assert response.output_text == counted(LENGTH)
    assert await mortal.books.responses(asked) == [response.id]
    await mortal.books.settled(mortal.caller, response.id)


@pytest.mark.parametrize(
    "number", [0, *(pytest.param(each, marks=pytest.mark.campaign) for each in range(1, 1 + KILLS // 5))]
)
@pytest.mark.timeout(300)
async def test_a_conversation_outlives_a_kill_in_each_of_its_turns(mortal: Scene, number: int, random: Random) -> None:
    victims = random.sample(sorted(VICTIMS), 4 if number else 1)
    await talk_outlives(mortal, [VICTIMS[victim] for victim in victims], random)

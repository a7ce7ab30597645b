"""Is nothing lost, repeated or left behind where the product dies exactly between two of its steps?"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import httpx
import pytest

from tests.end_to_end.callers import Json, Reading, asking, counted
from tests.end_to_end.conftest import Scene
from tests.end_to_end.kills.crashing_clusters import CrashingCluster

LENGTH = 60
FOLLOWED_S = 60

ADMISSION = ("create claim", "create reservation", "create resp", "start")
TURN = (
    "replace resp",
    "create route",
    "create fence",
    "create attempt",
    "create text",
    "create outcome",
    "replace attempt",
    "create end",
    "replace reservation",
)
OFTEN = {
    ("create reservation", "after"),
    ("create resp", "after"),
    ("create outcome", "before"),
    ("create end", "after"),
}


def crashes(steps: Sequence[str]) -> list[object]:
    found = [(step, when) for step in steps for when in ("before", "after")]
    return [pytest.param(*each, marks=[] if each in OFTEN else [pytest.mark.campaign]) for each in found]


@pytest.fixture
def scene(crashing_scene: Scene) -> Scene:
    return crashing_scene


async def calls(scene: Scene, body: Json) -> int:
    return len(await scene.caller.model_calls(body))


async def survived(
    scene: Scene, crashing: CrashingCluster, crash: tuple[str, str], length: int
) -> tuple[Json, Reading]:
    """Follow a turn whose worker dies at a step; return its body and what was read: all of it, once, and settled."""
    body = asking(f"COUNT {length}")
    await crashing.crash_at(*crash)
    async with asyncio.timeout(FOLLOWED_S):
        reading = await scene.caller.follow(body)
    await crashing.crashed()
    await scene.books.assert_exact(reading, counted(length))
    await scene.books.quiet(scene.caller)
    await scene.books.settled(scene.caller, reading.id)
    return body, reading


@pytest.mark.parametrize(("step", "when"), crashes((*ADMISSION, *TURN)))
async def test_a_caller_that_repeats_itself_gets_one_whole_turn(
    scene: Scene, crashing: CrashingCluster, step: str, when: str
) -> None:
    body, reading = await survived(scene, crashing, (step, when), LENGTH)
    assert await scene.books.responses(body) == [reading.id]
    assert 1 <= await calls(scene, body) <= 1 + (step in TURN)


@pytest.mark.parametrize(("step", "when"), crashes(ADMISSION))
async def test_a_caller_that_never_comes_back_leaves_nothing_behind(
    scene: Scene, crashing: CrashingCluster, step: str, when: str
) -> None:
    body = asking(f"COUNT {LENGTH}", background=True)
    await crashing.crash_at(step, when)
    try:
        answer = await scene.caller.create(body)
    except httpx.TransportError:
        answer = None
    assert answer is None or answer.status_code == 502
    await crashing.crashed()
    await scene.books.quiet(scene.caller)
    admitted = await scene.books.responses(body)
    assert len(admitted) == ((step, when) in ADMITTED)
    assert await calls(scene, body) == len(admitted)
    for response_id in admitted:
        await scene.books.assert_log(response_id, counted(LENGTH))
        await scene.books.settled(scene.caller, response_id)


async def test_usage_is_what_the_turns_cost_after_kills_of_worker_and_host(
    scene: Scene, crashing: CrashingCluster
) -> None:
    """Of all turns of this module so far, and of two more, whatever died around them."""
    await crashing.crash_at("replace attempt", "after")
    readings = [await scene.caller.follow(asking(f"COUNT {LENGTH}"))]
    await crashing.crashed()
    following = asyncio.create_task(scene.caller.follow(asking(f"COUNT {LENGTH}")))
    await asyncio.to_thread(crashing.cluster.kill_host_and_worker)
    await asyncio.to_thread(crashing.cluster.restart_host)
    readings.append(await following)
    await scene.books.quiet(scene.caller)
    for reading in readings:
        await scene.books.settled(scene.caller, reading.id)
    turns = (await scene.caller.http.get("/v1/turns", params={"limit": 100})).json()
    assert not turns["has_more"]
    spent = sum(Decimal(turn["cost_usd"]) for turn in turns["data"])
    assert spent > 0
    for by in ("cause", "hour", "day,cause"):
        usage = (await scene.caller.http.get("/v1/usage", params={"group_by": by, "limit": 100})).json()
        assert sum(Decimal(row["cost_usd"]) for row in usage["data"]) == spent, by


ADMITTED = {("create resp", "after"), ("start", "before"), ("start", "after")}
"""The crashes after which the turn exists, so that the sweep runs it."""

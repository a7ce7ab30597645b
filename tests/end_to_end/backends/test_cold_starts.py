"""Does a real turn wait for a real start, through any crash, at the price of one warm-up?"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.checks import every
from tests.end_to_end.callers import Json, Reading, asking, counted
from tests.end_to_end.cold import COLD_MODEL, HOLD_S, ROOM, SPEED, ColdScene, cold_scene, sleeping
from tests.end_to_end.kills.test_survival import VICTIMS
from tests.end_to_end.waiting import eventually

STARTS = [1.0, 5.0, 30.0, 120.0, 300.0]
QUICK = {1.0, 30.0}
KILLED = ["worker", "host", "both"]


@pytest.fixture(scope="module")
def sleeping_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(sleeping(tmp_path_factory.mktemp("cold"))) as cluster:
        yield cluster


@pytest.fixture
async def cold(sleeping_cluster: LocalCluster) -> AsyncIterator[ColdScene]:
    async with cold_scene(sleeping_cluster) as scene:
        yield scene


def quick_or_campaign(start_s: float, *more: object) -> object:
    marks = [] if start_s in QUICK else [pytest.mark.campaign, pytest.mark.long]
    return pytest.param(start_s, *more, marks=marks)


@pytest.mark.parametrize("abandoned_starts", [True, False])
@pytest.mark.parametrize("start_s", [quick_or_campaign(start_s) for start_s in STARTS])
async def test_a_turn_outwaits_a_start_and_nothing_runs_meanwhile(
    cold: ColdScene, start_s: float, *, abandoned_starts: bool
) -> None:
    await cold.asleep(start_s=start_s, abandoned_starts=abandoned_starts)
    known = len(await cold.sessions(0))
    reading = await cold.caller.follow(asking("COUNT 20", COLD_MODEL))
    await cold.books.assert_exact(reading, counted(20))
    (session,) = await cold.sessions(known)
    assert len(await cold.requests()) <= 3
    assert await first_token_at(cold, reading.id) >= session["ready"]
    assert start_s <= HOLD_S or await cold.timers(reading.id) or await was_routed_late(cold, reading.id, session)


async def was_routed_late(cold: ColdScene, response_id: str, session: Json) -> bool:
    """Tell whether a busy machine left nothing to wait for: what remained of the start was held, without a timer."""
    report = await cold.caller.report(response_id)
    routed = [moment["at"] for moment in report["timeline"] if moment["step"].startswith("routed")]
    return min(routed) + HOLD_S / SPEED >= session["ready"]


def kills() -> Iterator[object]:
    for start_s in (30.0, 120.0, 300.0):
        for abandoned_starts in (True, False):
            for victim in KILLED:
                quick = (start_s, abandoned_starts, victim) == (30.0, True, "worker")
                marks = [] if quick else [pytest.mark.campaign, pytest.mark.long]
                yield pytest.param(start_s, abandoned_starts, victim, marks=marks)


@pytest.mark.parametrize(("start_s", "abandoned_starts", "victim"), list(kills()))
async def test_a_wait_survives_the_death_of_anything(
    cold: ColdScene, start_s: float, victim: str, *, abandoned_starts: bool
) -> None:
    await cold.asleep(start_s=start_s, abandoned_starts=abandoned_starts)
    known = len(await cold.sessions(0))
    async with asyncio.TaskGroup() as group:
        following = group.create_task(cold.caller.follow(asking("COUNT 20", COLD_MODEL)))
        await asyncio.sleep(start_s / SPEED / 2)
        await asyncio.to_thread(VICTIMS[victim], cold.cluster)
    reading = following.result()
    await cold.books.assert_exact(reading, counted(20))
    sessions = await cold.sessions(known)
    assert [session["why"] for session in sessions[:-1]] == ["abandoned"] * (len(sessions) - 1)
    assert len(sessions) == 1 or not abandoned_starts
    await cold.books.settled(cold.caller, reading.id)


async def test_fifty_turns_on_a_sleeping_gpu_with_room_for_eight(cold: ColdScene) -> None:
    await cold.asleep(start_s=30.0)
    known = len(await cold.sessions(0))
    bodies = [asking("COUNT 5", COLD_MODEL, background=True) for _ in range(50)]
    answers = [await cold.caller.create(body) for body in bodies]
    ids = [answer.json()["id"] for answer in answers]
    for identifier in ids:
        await cold.caller.orchestration_ended(identifier, within_s=60)
    firsts = [await first_token_at(cold, identifier) for identifier in ids]
    assert len(await cold.sessions(known)) == 1
    requests = await cold.requests()
    assert len(requests) <= 3 * len(ids)
    served = sorted(range(len(ids)), key=lambda number: firsts[number])
    assert max(abs(place - number) for place, number in enumerate(served)) <= 2 * ROOM
    for identifier in ids:
        assert (await cold.caller.poll(identifier))["status"] == "completed"


@pytest.mark.campaign
async def test_a_turn_that_is_cancelled_while_its_gpu_starts_never_asks_it(cold: ColdScene) -> None:
    await cold.asleep(start_s=60.0)
    reading = Reading(body={**asking("COUNT 20", COLD_MODEL), "stream": True, "background": True})
    await cold.caller.follow_on(reading, until=3)
    await eventually(lambda: in_state(cold, "starting"), what="a GPU that starts")
    assert (await cold.caller.cancel(reading.id)).json()["status"] == "cancelled"
    await cold.caller.follow_on(reading)
    assert reading.types[-1] == "response.failed"
    await cold.books.settled(cold.caller, reading.id)
    await eventually(lambda: in_state(cold, "ready"), what="a GPU that is up")
    requests = await cold.requests()
    assert requests
    assert not [entry for entry in requests if entry["path"].endswith("chat/completions") and entry["status"] == 200]
    report = await cold.caller.report(reading.id)
    assert every("first token" not in moment["step"] for moment in report["timeline"])


async def in_state(cold: ColdScene, state: str) -> bool | None:
    instances = (await cold.admin("GET", "state"))["instances"]
    return True if any(each["state"] == state for each in instances) else None


async def first_token_at(cold: ColdScene, response_id: str) -> float:
    report = await cold.caller.report(response_id)
    return next(moment["at"] for moment in report["timeline"] if moment["step"].endswith("first token"))

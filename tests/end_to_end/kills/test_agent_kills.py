"""Has each call its effect once, whatever was killed with -9 behind whichever event of an agent's stream?"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from random import Random

import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.paths import ROOT
from tests.checks import every
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Reading, asking, calling
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.kills.test_survival import kill_host, kill_worker
from tests.end_to_end.tools.test_agent import SHOP, plan, shop_of
from tests.end_to_end.views import assert_one_stream

VICTIMS = {"worker": kill_worker, "host": kill_host}
ROUND = [
    ("find_order", {"number": "A-1001"}),
    ("refund_order", {"number": "A-1001", "amount": 5}),
    ("send_note", {"number": "A-1001", "text": "refunded"}),
]
EVENTS = 40
FOLLOWED_S = 180
ROUNDS = 17
CALLS = 3
GOES_ON = (270, 300)
"""The events around the end of the sixteenth round, after which the turn goes on in a new history."""

MORE_ROUNDS = f"\n[limits]\nmax_rounds = {ROUNDS + 1}\n"


def moments() -> Iterator[object]:
    """One drawn event for the worker is of every run; others, and all of them, are the campaigns'."""
    yield pytest.param("worker", None, id="worker-drawn")
    yield pytest.param("host", None, id="host-drawn", marks=[pytest.mark.campaign])
    for victim in VICTIMS:
        for index in range(EVENTS):
            yield pytest.param(victim, index, id=f"{victim}-{index}", marks=[pytest.mark.campaign, pytest.mark.long])


@pytest.fixture(scope="module")
def slow_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("agent")
    file = folder / "tools.toml"
    file.write_text((ROOT / "tools.toml").read_text(encoding="utf-8") + MORE_ROUNDS, encoding="utf-8")
    with LocalCluster(hasty(folder, rate=50.0, GANGLION_TOOLS=str(file))) as cluster:
        yield cluster


@pytest.fixture
async def slow(slow_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(slow_cluster) as caller, books_of(slow_cluster.data) as books:
        yield Scene(cluster=slow_cluster, caller=caller, books=books)


@pytest.mark.slow
@pytest.mark.parametrize(("victim", "index"), list(moments()))
async def test_effects_happen_once_after_a_kill(slow: Scene, victim: str, index: int | None, random: Random) -> None:
    at = random.randrange(EVENTS) if index is None else index
    before = len((await shop_of(slow.cluster))["effects"])
    reading = Reading(body={**asking(plan(ROUND, [ROUND[1]]), tools=[SHOP]), "stream": True})
    async with asyncio.timeout(FOLLOWED_S):
        await slow.caller.follow_on(reading, until=at + 1)
        await asyncio.to_thread(VICTIMS[victim], slow.cluster)
        await slow.caller.follow_on(reading)
    assert_one_stream(reading)
    assert reading.types[-1] == "response.completed"
    calls = [item for item in reading.response["output"] if item["type"] == "mcp_call"]
    assert [call["name"] for call in calls] == ["find_order", "refund_order", "send_note", "refund_order"]
    effects = (await shop_of(slow.cluster))["effects"][before:]
    refunds = [effect["key"] for effect in effects if effect["kind"] == "refund"]
    assert sorted(refunds) == sorted(call["id"] for call in calls if call["name"] == "refund_order")
    notes = [effect for effect in effects if effect["kind"] == "note"]
    note = calls[2]
    assert len(notes) <= 1
    assert note["status"] == "incomplete" or len(notes) == 1
    report = await slow.caller.report(reading.id)
    assert (report["rounds"], len(report["calls"])) == (2, 4)
    assert every(call["outcome"] for call in report["calls"])
    await slow.books.settled(slow.caller, reading.id)


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.parametrize("victim", VICTIMS)
async def test_effects_happen_once_after_a_kill_where_a_turn_goes_on(slow: Scene, victim: str, random: Random) -> None:
    before = len((await shop_of(slow.cluster))["effects"])
    rounds = [
        [("refund_order", {"number": f"B-{one}", "amount": each}) for each in range(CALLS)] for one in range(ROUNDS)
    ]
    reading = Reading(body={**asking(plan(*rounds), tools=[SHOP]), "stream": True})
    async with asyncio.timeout(FOLLOWED_S):
        await slow.caller.follow_on(reading, until=random.randrange(*GOES_ON))
        await asyncio.to_thread(VICTIMS[victim], slow.cluster)
        await slow.caller.follow_on(reading)
    assert_one_stream(reading)
    calls = [item for item in reading.response["output"] if item["type"] == "mcp_call"]
    assert [call["status"] for call in calls] == ["completed"] * (ROUNDS * CALLS)
    effects = (await shop_of(slow.cluster))["effects"][before:]
    assert sorted(effect["key"] for effect in effects) == sorted(call["id"] for call in calls)
    assert "continued" in str((await slow.caller.orchestration_ended(reading.id))["input"])
    await slow.books.settled(slow.caller, reading.id)

"""Has each call its effect once where a turn asks for an approval, whatever was killed with -9, and when?"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.checks import every
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Json, Reading, asking, calling
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.kills.test_survival import kill_both, kill_host, kill_worker
from tests.end_to_end.tools.test_agent import SHOP, plan, shop_of
from tests.end_to_end.views import assert_one_stream, assert_views_agree
from tests.end_to_end.waiting import eventually

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

VICTIMS = {"worker": kill_worker, "host": kill_host, "both": kill_both}
LETTER = """
[servers.shop.tools.send_letter]
description = "Send a letter to the customer of an order."
method = "POST"
path = "/v1/notes"
effect = "write"
arguments.number = {}
arguments.text = {}

"""
FIRST = [
    ("find_order", {"number": "A-1001"}),
    ("refund_order", {"number": "A-1001", "amount": 5}),
    ("send_note", {"number": "A-1001", "text": "first"}),
]
SECOND = [
    ("find_order", {"number": "A-1002"}),
    ("refund_order", {"number": "A-1002", "amount": 7}),
    ("send_note", {"number": "A-1002", "text": "second"}),
    ("send_letter", {"number": "A-1002", "text": "approved"}),
]
NAMES = [name for name, _ in (*FIRST, *SECOND)]
EVENTS = 72
"""About so many events have the streams of one story."""

FOLLOWED_S = 150


def moments() -> Iterator[object]:
    """One drawn event in place and one for a second response are of `make conform`; all events are the campaign's."""
    yield pytest.param("worker", "in place", None, id="worker-in-place-drawn")
    yield pytest.param("both", "second response", None, id="both-second-response-drawn")
    for victim in VICTIMS:
        for how in ("in place", "second response"):
            for index in range(EVENTS):
                yield pytest.param(victim, how, index, id=f"{victim}-{how}-{index}", marks=pytest.mark.long)


@pytest.fixture(scope="module")
def asking_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("approvals")
    file, tools = folder / "tools.toml", Path("tools.toml").read_text(encoding="utf-8")
    mark = "# The sources of sources.toml"
    assert mark in tools
    file.write_text(tools.replace(mark, LETTER + mark), encoding="utf-8")
    with LocalCluster(hasty(folder / "cluster", rate=50.0, GANGLION_TOOLS=str(file))) as cluster:
        yield cluster


@pytest.fixture
async def asked(asking_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(asking_cluster) as caller, books_of(asking_cluster.data) as books:
        yield Scene(cluster=asking_cluster, caller=caller, books=books)


@pytest.mark.parametrize(("victim", "how", "index"), list(moments()))
async def test_effects_happen_once_after_a_kill(
    asked: Scene, victim: str, how: str, index: int | None, random: Random
) -> None:
    at = random.randrange(EVENTS) if index is None else index
    before = len((await shop_of(asked.cluster))["effects"])
    tools = [{**SHOP, "require_approval": {"never": {"tool_names": NAMES[:3]}}}]
    body = {**asking(plan(FIRST, SECOND), tools=tools, background=True), "stream": True}
    async with asyncio.timeout(FOLLOWED_S):
        story = in_place if how == "in place" else by_second_response
        readings = await story(asked, body, victim, at)
    for reading in readings:
        assert_one_stream(reading)
        assert reading.types[-1] == "response.completed"
        await assert_views_agree(asked.caller, reading, len(reading.events) // 2)
    await assert_effects(asked, readings, before)


async def in_place(scene: Scene, body: Json, victim: str, at: int) -> list[Reading]:
    """Follow one turn, decide beside that, and kill after so many events."""
    reading = Reading(body={**body, "metadata": {"approval_wait_s": "86400"}})
    deciding = asyncio.create_task(decide(scene, reading))
    await followed(scene, reading, victim, at + 1)
    await deciding
    return [reading]


async def by_second_response(scene: Scene, body: Json, victim: str, at: int) -> list[Reading]:
    """Follow the turn that ends with its request, then the one that answers it; kill after so many events of both."""
    asking_turn = Reading(body=body)
    killed = await followed(scene, asking_turn, victim, at + 1)
    answer = {"type": "mcp_approval_response", "approval_request_id": request_in(asking_turn), "approve": True}
    again = {**body, "input": [answer], "previous_response_id": asking_turn.id, "tool_choice": "none"}
    answering = Reading(body=again)
    await followed(scene, answering, victim, None if killed else at + 1 - len(asking_turn.events))
    return [asking_turn, answering]


async def followed(scene: Scene, reading: Reading, victim: str, until: int | None) -> bool:
    """Read a stream to its end, and kill after so many events; return whether something was killed."""
    if until is not None:
        await scene.caller.follow_on(reading, until=until)
    kills = until is not None and not reading.done
    if kills:
        await asyncio.to_thread(VICTIMS[victim], scene.cluster)
    await scene.caller.follow_on(reading)
    return kills


def request_in(reading: Reading) -> str:
    (request,) = [each["item"]["id"] for each in reading.events if is_request(each)]
    return str(request)


def is_request(event: Json) -> bool:
    return event["type"] == "response.output_item.done" and event["item"]["type"] == "mcp_approval_request"


async def decide(scene: Scene, reading: Reading) -> None:
    """Approve the request as soon as it can be read, and again where the answer was lost."""

    async def approved() -> bool | None:
        if not any(is_request(each) for each in reading.events):
            return None
        answer = {"approval_request_id": request_in(reading), "approve": True}
        try:
            sent = await scene.caller.http.post(f"/v1/responses/{reading.id}/approvals", json=answer)
        except httpx.TransportError:
            return None
        assert sent.status_code in {200, 502, 503}, sent.text
        return True if sent.status_code == 200 else None

    await eventually(approved, within_s=FOLLOWED_S, what="a decision")


async def assert_effects(scene: Scene, readings: list[Reading], before: int) -> None:
    calls = [item for each in readings for item in each.response["output"] if item["type"] == "mcp_call"]
    assert [call["name"] for call in calls] == NAMES
    effects = (await shop_of(scene.cluster))["effects"][before:]
    refunds = [effect["key"] for effect in effects if effect["kind"] == "refund"]
    assert sorted(refunds) == sorted(call["id"] for call in calls if call["name"] == "refund_order")
    unknown = [call for call in calls if call["status"] == "incomplete"]
    assert {call["name"] for call in unknown} <= {"send_note", "send_letter"}
    notes = [effect for effect in effects if effect["kind"] == "note"]
    assert 3 - len(unknown) <= len(notes) <= 3
    for reading in readings:
        report = await scene.caller.report(reading.id)
        assert every(call["outcome"] for call in report["calls"])
        await scene.books.settled(scene.caller, reading.id)

"""Does a cancel end everything at once: the response, its streams, its call, its orchestration, its bill?"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from domain.log import EventKind, Status
from standins.stage import Stage
from tests.end_to_end.books import ALICE, books_of
from tests.end_to_end.callers import AFRESH, PINNED, Caller, Json, Reading, asking, calling
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.waiting import eventually

CLOSED_S = 1.0
WOKEN_S = 5.0

QUIET_S = 1.0
PREFILL_S = 20.0


@pytest.fixture(scope="module")
def slow_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Its models think for long before they say a first word."""
    with Stage(hasty(tmp_path_factory.mktemp("slow"), first_token_s=PREFILL_S)) as stage:
        yield stage


@pytest.fixture
async def slow(slow_stage: Stage) -> AsyncIterator[Scene]:
    async with calling(slow_stage) as caller, books_of(slow_stage.data) as books:
        yield Scene(stage=slow_stage, caller=caller, books=books)


async def begun(caller: Caller, body: Json, *, events: int) -> Reading:
    """Start a background turn and read its stream until so many events have come."""
    reading = Reading(body={**body, "stream": True, "background": True})
    await caller.follow_on(reading, until=events)
    return reading


async def called(caller: Caller, body: Json, model: str = "scripted", *, calls: int = 1) -> Json:
    """Wait until a model was asked so often for this turn; return the last call."""

    async def look() -> Json | None:
        found = await caller.model_calls(body, model)
        return found[-1] if len(found) == calls else None

    return await eventually(look, within_s=20, what=f"call {calls} of the model")


async def closed(caller: Caller, body: Json, model: str) -> Json:
    async def look() -> Json | None:
        last = (await caller.model_calls(body, model))[-1]
        return last if last["how"] else None

    return await eventually(look, within_s=5, what="the end of the call to the backend")


async def cancelled(scene: Scene, reading: Reading) -> float:
    """Cancel a turn while its stream is read; assert what every cancel promises; return its time in Unix seconds."""
    caller, response_id = scene.caller, reading.id
    following = asyncio.create_task(caller.follow_on(reading))
    answer = await caller.cancel(response_id)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "cancelled"
    assert (await caller.poll(response_id))["status"] == "cancelled"
    async with asyncio.timeout(5):
        await following
    assert reading.types[-1] == "response.failed"
    assert reading.types.count("response.failed") == 1
    assert reading.response["status"] == "cancelled"
    assert reading.numbers == list(range(len(reading.events)))
    log = await scene.books.turns.transcript(ALICE, response_id)
    assert log.ending is not None
    return log.ending.at


async def assert_over(scene: Scene, response_id: str) -> None:
    """No later slot, nothing left open."""
    slots = await scene.books.turns.slots(ALICE, response_id)
    await scene.books.settled(scene.caller, response_id)
    await asyncio.sleep(QUIET_S)
    assert await scene.books.turns.slots(ALICE, response_id) == slots
    kinds = [event.kind for slot in slots for event in slot.events]
    assert kinds.count(EventKind.ENDED) == 1
    assert kinds[-1] is EventKind.ENDED


async def assert_connection_closed(scene: Scene, body: Json, at: float, model: str = "scripted") -> None:
    call = await closed(scene.caller, body, model)
    assert call["how"] == "client-closed"
    assert call["ended"] - at <= CLOSED_S


@pytest.mark.parametrize("command", ["COUNT 9", "FAIL hang-before COUNT 9", "FAIL hang-after COUNT 9"])
async def test_a_cancel_during_prefill_closes_the_backend_within_a_second(slow: Scene, command: str) -> None:
    body = asking(command)
    reading = await begun(slow.caller, body, events=3)
    await called(slow.caller, body)
    at = await cancelled(slow, reading)
    await assert_connection_closed(slow, body, at)
    await assert_over(slow, reading.id)
    assert reading.text == ""


@pytest.mark.parametrize(("model", "backend"), [(PINNED, "scripted"), (AFRESH, "scripted-afresh")])
async def test_a_cancel_in_mid_stream_keeps_what_was_said(scene: Scene, model: str, backend: str) -> None:
    body = asking("COUNT 1000", model)
    running = await scene.books.believed_running(backend)
    reading = await begun(scene.caller, body, events=10)
    at = await cancelled(scene, reading)
    await assert_connection_closed(scene, body, at, backend)
    await assert_over(scene, reading.id)
    assert await scene.books.believed_running(backend) <= running
    [item] = reading.response["output"]
    assert item["status"] == "incomplete"
    assert item["content"][0]["text"] == reading.text
    assert reading.text.startswith("1 2 3")
    assert len(await scene.caller.model_calls(body, backend)) == 1


async def test_a_cancel_in_the_queue_or_just_after_it_never_reaches_a_backend_for_long(scene: Scene) -> None:
    body = asking("COUNT 1000")
    reading = await begun(scene.caller, body, events=1)
    at = await cancelled(scene, reading)
    await assert_over(scene, reading.id)
    for call in await scene.caller.model_calls(body):
        assert call["how"] == "client-closed"
        assert call["ended"] - at <= CLOSED_S


async def test_a_cancel_during_a_durable_wait_wakes_the_orchestration(slow: Scene) -> None:
    body = asking("FAIL 429 COUNT 3")
    reading = await begun(slow.caller, body, events=3)
    await called(slow.caller, body, calls=2)
    response_id = reading.id
    at = await cancelled(slow, reading)
    ended = await slow.caller.orchestration_ended(response_id, within_s=WOKEN_S)
    assert ended["output"]["status"] == "cancelled"
    calls = await slow.caller.model_calls(body)
    assert all(call["started"] <= at for call in calls)
    await assert_over(slow, response_id)
    assert len(await slow.caller.model_calls(body)) == len(calls)


async def test_cancels_of_many_running_turns_never_fail(scene: Scene) -> None:
    bodies = [asking("COUNT 1000") for _ in range(20)]
    readings = await asyncio.gather(*(begun(scene.caller, body, events=6) for body in bodies))
    async with asyncio.TaskGroup() as group:
        for reading in readings:
            group.create_task(cancelled(scene, reading))
    for reading in readings:
        await scene.books.settled(scene.caller, reading.id)


async def test_a_turn_that_is_cancelled_while_its_worker_is_down_leaves_nothing_open(slow: Scene) -> None:
    body = asking("COUNT 9")
    reading = await begun(slow.caller, body, events=3)
    await called(slow.caller, body)
    response_id = reading.id
    await slow.books.turns.finish(ALICE, response_id, status=Status.CANCELLED)
    old = slow.stage.kill_worker()
    await asyncio.to_thread(slow.stage.wait_worker, old)
    await assert_over(slow, response_id)

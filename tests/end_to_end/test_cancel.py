"""Does a cancel end everything at once: the response, its streams, its call, its orchestration, its bill?"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from domain.log.events import EventKind, ResponseStatus
from domain.money.attempt_charge import AttemptStatus
from domain.money.ledger_records import ReservationStatus
from standins.cluster.local_cluster import LocalCluster
from tests.checks import every
from tests.end_to_end.books import ALICE, books_of
from tests.end_to_end.callers import AFRESH, PINNED, Caller, Json, Reading, asking, calling
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.test_readers import CALLS, body_of, turns_of
from tests.end_to_end.waiting import GUARD_S, eventually

CANCEL_S = 60.0
QUIET_S = 1.0
PREFILL_S = 60.0
LENGTH = 1000


@pytest.fixture(scope="module")
def slow_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Its models think for long before they say a first word."""
    with LocalCluster(hasty(tmp_path_factory.mktemp("slow"), first_token_s=PREFILL_S)) as cluster:
        yield cluster


@pytest.fixture
async def slow(slow_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(slow_cluster) as caller, books_of(slow_cluster.data) as books:
        yield Scene(cluster=slow_cluster, caller=caller, books=books)


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

    return await eventually(look, what=f"call {calls} of the model")


async def speaking(scene: Scene, body: Json) -> None:
    """Wait until the model has said some words of a turn."""

    async def look() -> bool | None:
        found = await scene.caller.model_calls(body)
        return True if found and found[-1]["tokens"] > 20 else None

    await eventually(look, what="words of the model")


async def closed(caller: Caller, body: Json, model: str) -> Json:
    async def look() -> Json | None:
        last = (await caller.model_calls(body, model))[-1]
        return last if last["how"] else None

    return await eventually(look, what="the end of the call to the backend")


async def cancelled(scene: Scene, reading: Reading) -> float:
    """Cancel a turn while its stream is read; assert what every cancel promises; return its time in Unix seconds.

    How soon it stops is measured by `benches.cancels`.
    """
    caller, response_id = scene.caller, reading.id
    following = asyncio.create_task(caller.follow_on(reading))
    answer = await caller.cancel(response_id)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "cancelled"
    assert (await caller.poll(response_id))["status"] == "cancelled"
    async with asyncio.timeout(GUARD_S):
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


async def assert_connection_closed(scene: Scene, body: Json, model: str = "scripted") -> None:
    """The backend saw its connection closed long before its answer was whole."""
    call = await closed(scene.caller, body, model)
    assert call["how"] == "client-closed"
    assert call["tokens"] < LENGTH / 2


async def assert_billed(scene: Scene, response_id: str, *, words: int) -> None:
    """Every attempt is closed and paid for as far as it spoke; nothing is held any more."""
    attempts = await scene.books.ledger.attempts(ALICE, response_id)
    assert [each.charge.status for each in attempts] == [AttemptStatus.CLOSED] * len(attempts)
    said = sum(each.progress.usage.output_tokens for each in attempts if each.progress.usage)
    assert said >= words
    assert sum(each.charge.cost or 0 for each in attempts) > 0 or not words
    held = await scene.books.ledger.reservation(ALICE, response_id)
    assert held is not None
    assert held.status is ReservationStatus.SETTLED


@pytest.mark.parametrize("command", ["COUNT 9", "FAIL hang-before COUNT 9", "FAIL hang-after COUNT 9"])
async def test_a_cancel_during_prefill_closes_the_backend(slow: Scene, command: str) -> None:
    body = asking(command)
    reading = await begun(slow.caller, body, events=3)
    await called(slow.caller, body)
    await cancelled(slow, reading)
    await assert_connection_closed(slow, body)
    await assert_over(slow, reading.id)
    await assert_billed(slow, reading.id, words=0)
    assert reading.text == ""


@pytest.mark.parametrize(("model", "backend"), [(PINNED, "scripted"), (AFRESH, "scripted-afresh")])
async def test_a_cancel_in_mid_stream_keeps_what_was_said(scene: Scene, model: str, backend: str) -> None:
    body = asking(f"COUNT {LENGTH}", model)
    running = await scene.books.known_running(backend)
    reading = await begun(scene.caller, body, events=10)
    await cancelled(scene, reading)
    await assert_connection_closed(scene, body, backend)
    await assert_over(scene, reading.id)
    await assert_billed(scene, reading.id, words=len(reading.text.split()))
    assert await scene.books.known_running(backend) <= running
    [item] = reading.response["output"]
    assert item["status"] == "incomplete"
    assert item["content"][0]["text"] == reading.text
    assert reading.text.startswith("1 2 3")
    assert len(await scene.caller.model_calls(body, backend)) == 1


async def test_a_cancel_in_the_queue_or_just_after_it_never_reaches_a_backend_for_long(scene: Scene) -> None:
    body = asking(f"COUNT {LENGTH}")
    reading = await begun(scene.caller, body, events=1)
    await cancelled(scene, reading)
    await assert_over(scene, reading.id)
    for _ in await scene.caller.model_calls(body):
        await assert_connection_closed(scene, body)


async def test_a_cancel_during_a_durable_wait_wakes_the_orchestration(slow: Scene) -> None:
    body = asking("FAIL 429 COUNT 3")
    reading = await begun(slow.caller, body, events=3)
    await called(slow.caller, body, calls=2)
    response_id = reading.id
    at = await cancelled(slow, reading)
    ended = await slow.caller.orchestration_ended(response_id, within_s=CANCEL_S)
    assert ended["output"]["status"] == "cancelled"
    calls = await slow.caller.model_calls(body)
    assert every(call["started"] <= at for call in calls)
    await assert_over(slow, response_id)
    assert len(await slow.caller.model_calls(body)) == len(calls)


async def test_cancels_of_many_running_turns_never_fail(scene: Scene) -> None:
    bodies = [asking(f"COUNT {LENGTH}") for _ in range(20)]
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
    await slow.books.turns.finish(ALICE, response_id, status=ResponseStatus.CANCELLED)
    old = slow.cluster.kill_worker()
    await asyncio.to_thread(slow.cluster.wait_worker, old)
    await assert_over(slow, response_id)


@pytest.mark.parametrize("call", CALLS)
async def test_a_deletion_ends_what_runs_whoever_waits_for_it(scene: Scene, call: str) -> None:
    path, more = CALLS[call]
    body = body_of(path, more, f"COUNT {LENGTH}")
    asked = asyncio.create_task(scene.caller.http.post(path, json=body))
    await speaking(scene, body)
    [name] = await turns_of(scene, body)
    one = name if path.endswith("responses") else name.replace("resp_", "chatcmpl-")
    assert (await scene.caller.http.delete(f"{path}/{one}")).status_code == 200
    await assert_connection_closed(scene, body)
    answer = await asyncio.wait_for(asked, 60)
    assert HOW_IT_ENDS[call] in answer.text
    assert '"stop"' not in answer.text
    assert (await scene.caller.http.get(f"{path}/{one}")).status_code == 404
    await scene.caller.orchestration_ended(name)
    await assert_billed(scene, name, words=1)
    assert len(await scene.caller.model_calls(body)) == 1


HOW_IT_ENDS = {
    "stream": "event: response.failed",
    "background stream": "event: response.failed",
    "sync": '"status":"cancelled"',
    "chat stream": '"code":"cancelled"',
    "chat": '"code":"cancelled"',
}


async def test_a_background_turn_that_nobody_reads_is_cancelled_all_the_same(scene: Scene) -> None:
    body = asking(f"COUNT {LENGTH}", background=True)
    created = await scene.caller.create(body)
    await speaking(scene, body)
    name = created.json()["id"]
    answer = await scene.caller.cancel(name)
    assert answer.json()["status"] == "cancelled"
    assert (await scene.caller.cancel(name)).text == answer.text
    await assert_connection_closed(scene, body)
    await assert_over(scene, name)
    [item] = answer.json()["output"]
    await assert_billed(scene, name, words=len(item["content"][0]["text"].split()))


async def test_a_cancel_while_private_data_is_fetched_asks_no_model(scene: Scene) -> None:
    faults = f"{scene.cluster.model_url('private-data')}/__faults"
    body = asking(f"COUNT {LENGTH}", metadata={"sources": "orders"})
    async with httpx.AsyncClient() as http:
        (await http.put(faults, json={"delay_s": 3})).raise_for_status()
        try:
            reading = await begun(scene.caller, body, events=3)
            await cancelled(scene, reading)
        finally:
            (await http.put(faults, json={"delay_s": 0})).raise_for_status()
    await assert_over(scene, reading.id)
    await assert_billed(scene, reading.id, words=0)
    assert await scene.caller.model_calls(body) == []

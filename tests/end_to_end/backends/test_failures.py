"""Does each way in which a backend fails lead to a sane end?"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.paths import ROOT
from tests.checks import every
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import AFRESH, PINNED, Json, Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.waiting import GUARD_S

EITHER = "scripted"
SILENCE_S = 1.0
PATIENCE_S = 1
LENGTH = 60

HURRIED = {
    "request_timeout_s = 600": f"request_timeout_s = {PATIENCE_S}",
    "decode_tokens_s = 50": "decode_tokens_s = 5000",
}
"""Little time for a request, and the speed to fit a whole answer into it."""

PASSING = (
    "429 x2",
    "500 x2",
    "503 x2",
    "refuse x2",
    "content-type x1",
    "hang-before x1",
    "hang-after x1",
    "drip x1",
)
MODELS = (PINNED, AFRESH, EITHER)


def rarely(often: bool, *values: object) -> object:  # noqa: FBT001 - whether the normal run has it, too
    return pytest.param(*values, marks=[] if often else [pytest.mark.campaign])


@pytest.fixture(scope="module")
def failing_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A fleet whose backends have little time for their first words, and less for the next."""
    folder = tmp_path_factory.mktemp("failing")
    fleet = folder / "fleet.toml"
    text = (ROOT / "fleet.toml").read_text()
    for usual, hurried in HURRIED.items():
        text = text.replace(usual, hurried)
    fleet.write_text(text)
    options = hasty(folder, GANGLION_SILENCE_S=str(SILENCE_S), GANGLION_FLEET=str(fleet))
    with LocalCluster(options) as cluster:
        yield cluster


@pytest.fixture
async def failing(failing_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(failing_cluster) as caller, books_of(failing_cluster.data) as books:
        await books.forget_backend_states()
        yield Scene(cluster=failing_cluster, caller=caller, books=books)


async def followed(scene: Scene, body: Json, *, within_s: float = GUARD_S) -> Reading:
    async with asyncio.timeout(within_s):
        return await scene.caller.follow(body)


async def calls(scene: Scene, body: Json) -> list[Json]:
    """Return the calls of one turn at both models."""
    found = [await scene.caller.model_calls(body, name) for name in ("scripted", "scripted-afresh")]
    return [call for each in found for call in each]


def assert_failed(reading: Reading, codes: set[str], *reasons: str) -> None:
    """One failed end whose message names the reason, and nothing of our code."""
    assert reading.types[-1] == "response.failed"
    assert reading.numbers == list(range(len(reading.events)))
    error = reading.response["error"]
    assert error["code"] in codes
    assert [reason for reason in reasons if reason not in error["message"]] == [], error
    said = str(reading.events)
    assert not any(word in said for word in ("Traceback", 'File "', ".py", "httpx", "Exception"))


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        rarely((index + turn) % len(MODELS) == 0, kind, model)
        for index, kind in enumerate(PASSING)
        for turn, model in enumerate(MODELS)
    ],
)
async def test_a_failure_that_passes_is_waited_out(failing: Scene, kind: str, model: str) -> None:
    body = asking(f"FAIL {kind} COUNT {LENGTH}", model)
    reading = await followed(failing, body)
    await failing.books.assert_exact(reading, counted(LENGTH))
    await failing.books.settled(failing.caller, reading.id)
    times = int(kind[-1])
    assert times + 1 <= len(await calls(failing, body)) <= 2 * times + 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["reset", "half-frame"])
@pytest.mark.parametrize("after", [rarely(after == 23, after) for after in (0, 1, 23, LENGTH - 1)])
async def test_an_answer_that_breaks_goes_on_exactly(failing: Scene, kind: str, model: str, after: int) -> None:
    body = asking(f"FAIL {kind} x1 @{after} COUNT {LENGTH}", model)
    reading = await followed(failing, body)
    await failing.books.assert_exact(reading, counted(LENGTH))
    assert reading.types.count("response.output_item.added") == 1
    assert reading.response["usage"]["output_tokens"] == LENGTH
    await failing.books.settled(failing.caller, reading.id)


async def test_an_answer_that_comes_out_differently_is_begun_afresh_in_an_item_of_its_own(failing: Scene) -> None:
    body = asking(f"FAIL reset x1 @{LENGTH + 5} VARY {LENGTH}", AFRESH)
    reading = await followed(failing, body)
    assert reading.types[-1] == "response.completed"
    assert reading.types.count("response.output_item.added") == 2
    [kept] = reading.response["output"]
    text = kept["content"][0]["text"]
    assert text.startswith(f"{counted(LENGTH)} take 2 ")
    done = [event["item"]["status"] for event in reading.events if event["type"] == "response.output_item.done"]
    assert done == ["incomplete", "completed"]
    assert await failing.caller.poll(reading.id) == reading.response
    await failing.books.settled(failing.caller, reading.id)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("content-type", "wrong content type: it does not speak the expected protocol"),
        rarely(False, "500", "status 500: it answers with an error of its own"),
        rarely(False, "refuse", "reset: the connection broke after the request was sent"),
    ],
)
async def test_a_backend_that_stays_broken_ends_the_turn_with_its_reason(
    failing: Scene, kind: str, reason: str
) -> None:
    reading = await followed(failing, asking(f"FAIL {kind} COUNT 3"), within_s=90)
    assert_failed(reading, {"server_error"}, reason, "attempts failed in this way")
    await failing.books.settled(failing.caller, reading.id)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("refuse", {"server_error"}),
        rarely(False, "429", {"rate_limit_exceeded", "server_error"}),
        rarely(False, "503", {"server_error"}),
        ("hang-before", {"server_error"}),
        rarely(False, "drip", {"server_error"}),
    ],
)
async def test_a_deadline_ends_a_turn_whose_backend_never_answers(failing: Scene, kind: str, codes: set[str]) -> None:
    body = asking(f"FAIL {kind} COUNT 3", metadata={"deadline_ms": "3000"})
    reading = await followed(failing, body)
    assert_failed(reading, codes)
    message = reading.response["error"]["message"]
    assert any(reason in message for reason in ("deadline", "in a row", "is throttled", "are left")), message
    await failing.books.settled(failing.caller, reading.id)


async def test_every_kind_of_caller_gets_the_same_error_of_a_failed_turn(failing: Scene) -> None:
    body = asking("FAIL content-type COUNT 3", metadata={"deadline_ms": "1500"})
    answer = await failing.caller.create(body)
    assert answer.status_code == 200
    assert answer.json()["status"] == "failed"
    assert await failing.caller.poll(answer.json()["id"]) == answer.json()
    report = await failing.caller.report(answer.json()["id"])
    assert every("protocol" in attempt["reason"] for attempt in report["attempts"])


async def test_a_model_that_falls_silent_in_mid_stream_is_given_up_and_asked_again(failing: Scene) -> None:
    body = asking(f"COUNT {3 * LENGTH}")
    reading = Reading(body={**body, "stream": True})
    await failing.caller.follow_on(reading, until=12)
    model = failing.cluster.models["scripted"].pid
    os.kill(model, signal.SIGSTOP)
    try:
        await asyncio.sleep(SILENCE_S + 1)
    finally:
        os.kill(model, signal.SIGCONT)
    async with asyncio.timeout(GUARD_S):
        await failing.caller.follow_on(reading)
    await failing.books.assert_exact(reading, counted(3 * LENGTH))
    await failing.books.settled(failing.caller, reading.id)
    attempts = (await failing.caller.report(reading.id))["attempts"]
    assert "sent nothing for too long" in attempts[0]["reason"]


async def test_a_model_that_dies_hands_its_turn_to_the_other(failing: Scene) -> None:
    body = asking(f"COUNT {3 * LENGTH}", EITHER)
    reading = Reading(body={**body, "stream": True})
    await failing.caller.follow_on(reading, until=12)
    [first] = [name for name in failing.cluster.models if await failing.caller.model_calls(body, name)]
    await asyncio.to_thread(failing.cluster.kill_model, first)
    async with asyncio.timeout(GUARD_S):
        await failing.caller.follow_on(reading)
    await asyncio.to_thread(failing.cluster.restart_model, first)
    await failing.books.assert_exact(reading, counted(3 * LENGTH))
    await failing.books.settled(failing.caller, reading.id)

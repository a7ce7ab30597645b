"""Does a turn run on whoever reads it, and does every reader read the same?"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest

from api.turns.log_stream import HEARTBEAT_S
from clients.storage.port import Container
from domain.log.events import ResponseStatus
from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import ALICE, FAR, MANY, books_of
from tests.end_to_end.callers import TERMINAL, Json, Reading, asking, calling, counted, read_into
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.views import assert_equals_log, assert_one_stream, assert_views_agree
from tests.end_to_end.waiting import eventually

LENGTH = 150
READERS = 20
SLOW = 5
ALL_S = 60


async def test_many_readers_read_the_same_beside_some_that_take_nothing(scene: Scene) -> None:
    first = Reading(body={**asking(f"COUNT {LENGTH}"), "stream": True})
    await scene.caller.follow_on(first, until=1)
    query = {"stream": "true"}
    async with AsyncExitStack() as stack, asyncio.timeout(ALL_S):
        opened = [scene.caller.http.stream("GET", f"/v1/responses/{first.id}", params=query) for _ in range(SLOW)]
        idle = [await stack.enter_async_context(each) for each in opened]
        others = [asyncio.create_task(scene.caller.replay(first.id)) for _ in range(READERS)]
        await scene.caller.follow_on(first)
        for other in others:
            assert (await other).raw == first.raw
        for each in idle:
            late = Reading(body={})
            await read_into(late, each)
            assert late.raw == first.raw
    assert_one_stream(first)
    await assert_views_agree(scene.caller, first, *range(0, len(first.events), 7))
    assert await assert_equals_log(scene.books, first) == [counted(LENGTH)]
    await scene.books.settled(scene.caller, first.id)


async def test_a_resume_from_beyond_the_end_is_empty_and_from_rubbish_is_rejected(scene: Scene) -> None:
    reading = await scene.caller.follow(asking("COUNT 3"))
    for beyond in (len(reading.events) - 1, len(reading.events), 10**14):
        resumed = await scene.caller.replay(reading.id, after=beyond)
        assert (resumed.raw, resumed.done) == ([], True)
    for rubbish in ("-1", "x", "1.5", "0x1", "", "9" * 400):
        answer = await scene.caller.get(reading.id, stream="true", starting_after=rubbish)
        assert answer.status_code == 400, rubbish
        assert answer.json()["error"]["param"] == "starting_after"


CALLS: dict[str, tuple[str, Json]] = {
    "stream": ("/v1/responses", {"stream": True}),
    "background stream": ("/v1/responses", {"stream": True, "background": True}),
    "sync": ("/v1/responses", {}),
    "chat stream": ("/v1/chat/completions", {"stream": True}),
    "chat": ("/v1/chat/completions", {}),
}


def body_of(path: str, more: Json, command: str) -> Json:
    """Return a body whose metadata names the turn in the store."""
    asked = asking(command)
    named = {"metadata": {"turn": asked["instructions"]}, **more}
    if path.endswith("responses"):
        return {**asked, **named}
    messages = [{"role": "system", "content": asked["instructions"]}, {"role": "user", "content": command}]
    return {"model": asked["model"], "messages": messages, "store": True, **named}


@pytest.mark.parametrize("call", CALLS)
async def test_a_caller_that_goes_away_stops_nothing(scene: Scene, call: str) -> None:
    path, more = CALLS[call]
    body = body_of(path, more, f"COUNT {LENGTH}")
    asked = asyncio.create_task(scene.caller.http.post(path, json=body))

    async def called() -> Json | None:
        found = await scene.caller.model_calls(body)
        return found[-1] if found and found[-1]["tokens"] > 3 else None

    await eventually(called, what="a few words of the model")
    asked.cancel()
    await asyncio.wait((asked,))
    assert asked.cancelled()

    async def ended() -> Json | None:
        last = (await scene.caller.model_calls(body))[-1]
        return last if last["how"] else None

    last = await eventually(ended, what="the end of the model's answer")
    assert (last["how"], last["tokens"]) == ("done", LENGTH)
    [name] = await turns_of(scene, body)
    await scene.books.settled(scene.caller, name)
    await scene.books.assert_log(name, counted(LENGTH))
    assert (await scene.books.turns.read(ALICE, name)).status is ResponseStatus.COMPLETED


async def turns_of(scene: Scene, body: Json) -> list[str]:
    """Return every response that a request became."""
    found = [
        each.document
        for status in ResponseStatus
        for each in await scene.books.store.find(
            Container.TURNS, kind="response", status=status, before=FAR, limit=MANY
        )
    ]
    return [each.id for each in found if each.body["metadata"] == body["metadata"]]


@pytest.fixture(scope="module")
def silent_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Its models think for longer than a reader is left without a sign of life."""
    with LocalCluster(hasty(tmp_path_factory.mktemp("silent"), first_token_s=2.5 * HEARTBEAT_S)) as cluster:
        yield cluster


@pytest.fixture
async def silent(silent_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(silent_cluster) as caller, books_of(silent_cluster.data) as books:
        yield Scene(cluster=silent_cluster, caller=caller, books=books)


@pytest.mark.campaign
@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
async def test_a_reader_hears_that_a_silent_turn_is_alive(silent: Scene, path: str) -> None:
    body = body_of(path, {"stream": True}, "COUNT 3")
    async with silent.caller.http.stream("POST", path, json=body, timeout=httpx.Timeout(90)) as answer:
        lines = [line async for line in answer.aiter_lines()]
    comments = [line for line in lines if line.startswith(":")]
    assert len(comments) >= 3
    assert set(comments) == {": keep-alive"}
    assert lines[-2:] == ["data: [DONE]", ""]
    assert any(kind in line for line in lines for kind in TERMINAL) or "finish_reason" in "".join(lines)

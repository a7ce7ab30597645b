"""Is a turn cancelled when its caller hangs up, if and only if the caller asked for that?"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from domain.log.events import ResponseStatus
from tests.api.harness import Api, api
from tests.api.serving import served
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "stream": True}
RESPONSE = {"model": "auto", "input": "hi", "stream": True}
CANCELS = {"metadata": {"on_disconnect": "cancel"}}


async def hung_up(one: Api, url: str, path: str, body: dict[str, Any]) -> str:
    """Open a stream and hang up after its first bytes; return the id of its response."""
    async with (
        httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer mine"}) as client,
        client.stream("POST", path, json=body) as answer,
    ):
        assert answer.status_code == 200
        async for _ in answer.aiter_bytes():
            break
    return one.orchestrations.started[-1]


@pytest.mark.parametrize(("path", "body"), [("/v1/responses", RESPONSE), ("/v1/chat/completions", CHAT)])
async def test_a_caller_that_asked_for_it_cancels_by_hanging_up(path: str, body: dict[str, Any]) -> None:
    one = api(FakeBackend([asyncio.Event(), *says("late")]))
    async with served(one) as url:
        name = await hung_up(one, url, path, body | CANCELS)
        async with asyncio.timeout(60):
            await one.orchestrations.ended()
    assert (await one.world.turns.read(OWNER, name)).status is ResponseStatus.CANCELLED
    assert name in one.orchestrations.cancelled


@pytest.mark.parametrize("metadata", [{}, {"metadata": {"on_disconnect": "continue"}}])
async def test_without_it_the_turn_runs_to_its_end(metadata: dict[str, Any]) -> None:
    gate = asyncio.Event()
    one = api(FakeBackend([gate, *says("late")]))
    async with served(one) as url:
        name = await hung_up(one, url, "/v1/responses", RESPONSE | metadata)
        gate.set()
        await one.orchestrations.ended()
    assert (await one.world.turns.read(OWNER, name)).status is ResponseStatus.COMPLETED


async def test_a_stream_that_ends_cancels_nothing() -> None:
    one = api(FakeBackend(says("at once")))
    async with served(one) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.post("/v1/responses", json=RESPONSE | CANCELS, headers={"authorization": "Bearer mine"})
    assert "response.completed" in answer.text
    assert one.orchestrations.cancelled == []


async def test_a_server_that_stops_cancels_nothing() -> None:
    """The stream is closed as for a caller that hung up, but the connection is still there."""
    one = api(FakeBackend([asyncio.Event()]))
    cancellations = one.world.app.http.responses.gateway.cancellations
    created = (await one.create({"model": "auto", "input": "hi", "background": True})).json()["id"]
    turn = await one.world.turns.read(OWNER, created)

    class Connected:
        async def is_disconnected(self) -> bool:
            await asyncio.sleep(0)
            return False

    async def endless() -> AsyncGenerator[bytes]:
        while True:
            yield b"x"

    request: Any = Connected()
    stream: Any = cancellations.on_disconnect(endless(), request, turn, None)
    assert await anext(stream) == b"x"
    await stream.aclose()
    await asyncio.gather(*cancellations.tasks)
    assert (await one.world.turns.read(OWNER, created)).status is not ResponseStatus.CANCELLED
    await one.world.turns.finish(OWNER, created, status=ResponseStatus.CANCELLED)

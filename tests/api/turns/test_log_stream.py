"""Does a stream follow its log over a real socket, and abort rather than end cleanly too early?"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

import httpx
import pytest

from api.rendering.sse_events import DONE, KEEP_ALIVE, frames
from api.turns.caching.live_copies import LiveCopies
from api.turns.log_stream import HEARTBEAT_S, LogStream
from api.turns.request_costs import RequestCosts
from clients.backends.port import AnswerEnd, TextPiece
from domain.errors import NotFound, Unavailable
from domain.money.overheads import OverheadPrices
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.cached_answers import CachedAnswers
from state.turns.log_notifications import KEPT
from state.turns.responses import TurnStore
from tests.api.harness import Api, api, events_of
from tests.api.serving import served
from tests.fakes.backends import FakeBackend, says
from tests.fakes.stores import Fault, Faults, FlakyStore
from tests.fakes.worlds import OWNER

whole_log = partial(frames, after=-1)
BODY = {"input": "hi", "model": "model", "background": True}


@contextlib.asynccontextmanager
async def opened(one: Api, method: str, path: str, **request: Any) -> AsyncGenerator[httpx.Response]:
    """Open a stream over a real socket."""
    async with (
        served(one) as url,
        httpx.AsyncClient(headers=one.http.headers) as http,
        http.stream(method, url + path, **request) as stream,
    ):
        yield stream


async def queued(one: Api) -> Response:
    one.orchestrations.hold = True
    created = await one.create(BODY)
    return await one.world.turns.read(OWNER, created.json()["id"])


def log_stream(one: Api, turns: TurnStore | None = None, *, stream_s: float = 1500) -> LogStream:
    """Return a log stream over the API's turns, or over `turns` as another process has them."""
    costs = RequestCosts(ledger=one.world.ledger, prices=OverheadPrices(), clock=one.world.clock)
    clock, known = one.world.clock, turns or one.world.turns
    copies = LiveCopies(CachedAnswers(known, clock), clock)
    return LogStream(known, clock, stream_s=stream_s, poll_s=0.025, request_costs=costs, copies=copies)


async def test_events_arrive_while_the_turn_runs() -> None:
    gate = asyncio.Event()
    one = api(FakeBackend([*says("one two")[:1], gate, *says("one two")[1:]]))
    seen = b""
    async with opened(one, "POST", "/v1/responses", json={**BODY, "stream": True}) as stream:
        async for part in stream.aiter_raw():
            seen += part
            if b'"delta":"one"' in seen and not gate.is_set():
                assert b"response.completed" not in seen
                gate.set()
    assert [body["type"] for body in events_of(seen.decode())][-1] == "response.completed"


async def test_a_stream_over_its_maximum_duration_is_aborted() -> None:
    one = api(stream_s=10)
    turn = await queued(one)
    seen = b""

    async def read(stream: httpx.Response) -> None:
        nonlocal seen
        async for part in stream.aiter_raw():
            seen += part
            one.world.clock.advance(11)

    async with opened(one, "GET", f"/v1/responses/{turn.id}?stream=true") as stream:
        with pytest.raises(httpx.RemoteProtocolError):
            await read(stream)
    assert seen.startswith(KEEP_ALIVE)
    assert DONE not in seen


async def test_a_disconnected_reader_is_unsubscribed() -> None:
    one = api()
    turn = await queued(one)
    watching = one.world.turns.notifications.subscriptions
    async with served(one) as url, httpx.AsyncClient(headers=one.http.headers) as http:
        async with http.stream("GET", f"{url}/v1/responses/{turn.id}?stream=true") as stream:
            await anext(stream.aiter_raw())
        async with asyncio.timeout(60):
            while watching:  # noqa: ASYNC110 - the server notices a closed socket in its own time
                await asyncio.sleep(0.01)
    assert not watching


async def test_an_idle_stream_sends_keep_alive_comments() -> None:
    one = api()
    stream = log_stream(one).stream(await queued(one), partial(frames, after=1))
    parts = [await anext(stream)]
    for _ in range(3):
        one.world.clock.advance(HEARTBEAT_S)
        parts.append(await anext(stream))
    assert parts == [KEEP_ALIVE] * 4


async def test_an_expired_stream_says_how_to_resume() -> None:
    one = api()
    stream = log_stream(one, stream_s=1).stream(await queued(one), partial(frames, after=1))
    assert await anext(stream) == KEEP_ALIVE
    one.world.clock.advance(2)
    with pytest.raises(Unavailable, match="starting_after"):
        await anext(stream)


async def test_an_unavailable_store_only_delays_a_stream() -> None:
    one = api()
    turn = await queued(one)
    await one.world.run(turn)
    broken = FlakyStore(one.world.store, one.world.clock.random, Faults(at=dict.fromkeys(range(3), Fault.UNAVAILABLE)))
    retrying = log_stream(one, TurnStore(broken, one.world.clock, WebhookEndpoints()))
    seen = b"".join([part async for part in retrying.stream(turn, whole_log)])
    assert seen == b"".join([part async for part in log_stream(one).stream(turn, whole_log)])
    assert len(broken.calls) == 4


def remote_stream(one: Api) -> tuple[FlakyStore, LogStream]:
    """Return a log stream of another process than the writer's, and the store that counts its polls."""
    counted = FlakyStore(one.world.store, one.world.clock.random, Faults())
    return counted, log_stream(one, TurnStore(counted, one.world.clock, WebhookEndpoints()))


async def test_a_reader_in_the_writers_process_reads_the_store_once() -> None:
    one = api(FakeBackend(says("one two three four five")))
    turn = await queued(one)
    counted = FlakyStore(one.world.store, one.world.clock.random, Faults())
    one.world.turns.store = counted
    stream = log_stream(one).stream(turn, whole_log)
    seen = [await anext(stream), await anext(stream)]
    assert len(counted.calls) == 1
    one.world.turns.store = one.world.store
    await one.world.run(turn)
    one.world.turns.store = counted
    seen += [part async for part in stream]
    assert len(counted.calls) == 1
    assert b"".join(seen) == b"".join([part async for part in log_stream(one).stream(turn, whole_log)])


async def test_a_reader_in_another_process_reads_the_same_by_polling() -> None:
    one = api(FakeBackend(says("one two three")))
    turn = await queued(one)
    counted, remote = remote_stream(one)
    reading = asyncio.create_task(collected(remote, turn))
    await asyncio.sleep(0)
    assert len(counted.calls) == 1
    await one.world.run(turn)
    assert await asyncio.wait_for(reading, 60) == await collected(log_stream(one), turn)


async def test_a_late_reader_reads_all_following_slots_at_once() -> None:
    one = api(FakeBackend(says(" ".join(["word"] * 60))))
    turn = await queued(one)
    counted, remote = remote_stream(one)
    stream = remote.stream(turn, whole_log)
    seen = [await anext(stream), await anext(stream)]
    await one.world.run(turn)
    one.world.clock.advance(5)
    before = len(counted.calls)
    seen += [part async for part in stream]
    assert b"".join(seen) == await collected(log_stream(one), turn)
    assert len(counted.calls) - before == 1


@pytest.mark.slow
async def test_a_stalled_reader_blocks_no_other_and_buffers_few_slots() -> None:
    gates = [asyncio.Event() for _ in range(2 * KEPT)]
    script = [act for gate in gates for act in (gate, TextPiece(text=" word"))]
    one = api(FakeBackend([*script, AnswerEnd(reason="stop", usage=None)]))
    turn = await queued(one)
    stalled = log_stream(one).stream(turn, whole_log)
    seen = [await anext(stalled), await anext(stalled)]
    fast = asyncio.create_task(collected(log_stream(one), turn))
    running = asyncio.create_task(one.world.run(turn))
    for number, gate in enumerate(gates):
        gate.set()
        while (await one.world.log(turn)).pieces <= number:
            await one.world.turns.wait_for_slot(turn.id, within_s=1)
    await running
    whole = await asyncio.wait_for(fast, 60)
    [subscription] = one.world.turns.notifications.subscriptions[turn.id]
    assert len(subscription.slots) <= KEPT < len(await one.world.turns.slots(OWNER, turn.id))
    seen += [part async for part in stalled]
    assert b"".join(seen) == whole


async def test_a_reader_in_another_process_notices_a_deleted_response() -> None:
    one = api(FakeBackend(says("one two three")))
    turn = await queued(one)
    await one.world.turns.begin(OWNER, turn.id, execution="first")
    _, remote = remote_stream(one)
    stream = remote.stream(turn, whole_log)
    assert [await anext(stream), await anext(stream)]
    assert (await one.http.delete(f"/v1/responses/{turn.id}")).status_code == 200
    with pytest.raises(NotFound):
        await collected_on(stream)


async def collected_on(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in stream])


async def collected(reader: LogStream, turn: Response) -> bytes:
    return b"".join([part async for part in reader.stream(turn, whole_log)])


async def test_every_reader_of_a_turn_reads_the_same() -> None:
    one = api(FakeBackend(says("one two three")))
    turn = await queued(one)

    async def read() -> bytes:
        return b"".join([part async for part in log_stream(one).stream(turn, whole_log)])

    readers = [asyncio.create_task(read()) for _ in range(10)]
    await one.world.run(turn)
    first, *others = await asyncio.gather(*readers)
    assert set(others) == {first}
    assert events_of(first.decode())[-1]["type"] == "response.completed"

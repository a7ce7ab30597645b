"""Do all operations of the unmodified official SDK on responses work?"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response

from domain.turns.rate_limits import RateLimit, RateLimits
from tests.api.harness import ANSWER, Api, api
from tests.api.serving import served
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.listening import listening
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore


@contextlib.asynccontextmanager
async def sdk(one: Api, **options: Any) -> AsyncGenerator[AsyncOpenAI]:
    """Open the SDK on the API; it rejects answers that do not match its types."""
    async with served(one) as url:
        client = AsyncOpenAI(
            base_url=f"{url}/v1", api_key="mine", timeout=20, _strict_response_validation=True, **options
        )
        async with client:
            yield client


async def test_a_response_is_created_and_retrieved() -> None:
    async with sdk(api()) as client:
        made = await client.responses.create(model="auto", input="hi", instructions="be brief", user="me")
        assert (made.status, made.output_text) == ("completed", ANSWER)
        assert made.usage
        assert made.usage.output_tokens == 4
        assert await client.responses.retrieve(made.id) == made


async def test_a_response_is_streamed() -> None:
    async with sdk(api()) as client:
        stream = await client.responses.create(model="auto", input="hi", stream=True)
        events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER


async def test_the_sdks_own_helper_follows_a_stream() -> None:
    async with sdk(api()) as client, client.responses.stream(model="auto", input="hi") as stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        final = await stream.get_final_response()
    assert text == final.output_text == ANSWER


async def test_a_background_response_is_polled_to_its_end() -> None:
    async with sdk(api()) as client:
        made = await client.responses.create(model="auto", input="hi", background=True)
        assert made.status in ("queued", "in_progress")
        async with asyncio.timeout(60):
            while made.status in ("queued", "in_progress"):
                made = await client.responses.retrieve(made.id)
    assert (made.status, made.output_text) == ("completed", ANSWER)


async def test_an_abandoned_stream_can_be_resumed_where_it_stopped() -> None:
    async with sdk(api(FakeBackend(says("one two three four")))) as client:
        stream = await client.responses.create(model="auto", input="hi", background=True, stream=True)
        seen = [await anext(stream) for _ in range(4)]
        await stream.close()
        created = seen[0]
        assert created.type == "response.created"
        rest = await client.responses.retrieve(created.response.id, stream=True, starting_after=3)
        seen += [event async for event in rest]
        assert [event.sequence_number for event in seen] == list(range(len(seen)))
        async with client.responses.stream(response_id=created.response.id) as again:
            assert (await again.get_final_response()).output_text == "one two three four"


async def test_a_response_is_cancelled() -> None:
    one = api()
    one.orchestrations.hold = True
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi", background=True)
        cancelled = await client.responses.cancel(made.id)
        assert cancelled.status == "cancelled"
        assert await client.responses.cancel(made.id) == cancelled
        events = [event async for event in await client.responses.retrieve(made.id, stream=True)]
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.status == "cancelled"


async def test_a_conversation_continues() -> None:
    fake = FakeBackend(says("hello Ada"), says("Ada"))
    async with sdk(api(fake)) as client:
        first = await client.responses.create(model="auto", input="I am Ada")
        second = await client.responses.create(model="auto", input="who am I?", previous_response_id=first.id)
        again: Any = [item.to_dict() for item in second.output]
        await client.responses.create(model="auto", input=[*again, {"role": "user", "content": "sure?"}])
    assert second.output_text == "Ada"
    assert [item.text for item in fake.calls[1].items] == ["I am Ada", "hello Ada", "who am I?"]
    assert [item.text for item in fake.calls[2].items] == ["Ada", "sure?"]


async def test_the_models_are_listed() -> None:
    async with sdk(api()) as client:
        names = [model.id async for model in client.models.list()]
        assert names == ["auto", "model", "model@main"]
        assert (await client.models.retrieve("model@main")).id == "model@main"


@pytest.mark.slow
async def test_the_sdks_own_retry_finds_the_turn_it_created() -> None:
    one = api()
    assert isinstance(one.world.store, MemoryStore)
    for number in (1, 3):
        store = FlakyStore(one.world.store, one.world.clock.random, Faults(at={number: Fault.LOST_AFTER}))
        broken = api(store=store, clock=one.world.clock)
        async with sdk(broken, max_retries=1) as client:
            made = await client.responses.create(model="auto", input=f"try {number}")
        assert made.status == "completed"
        assert broken.orchestrations.started == [made.id]


@pytest.mark.slow
async def test_equal_requests_that_the_sdk_had_to_repeat_are_each_of_them_answered() -> None:
    narrow = RateLimit(per_minute=6000, burst=3, running=100)
    one = api(clock=(clock := FakeClock()), store=MemoryStore(clock), limits=RateLimits(owner=narrow, tenant=narrow))
    one.orchestrations.hold = True
    rejected = list[str]()

    async def wait(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        if response.status_code == 429:
            rejected.append(request.url.path)
            clock.advance(60)
        return response

    patient = BaseHTTPMiddleware(one.app(), dispatch=wait)
    async with listening(patient) as url, AsyncOpenAI(base_url=f"{url}/v1", api_key="mine") as client:
        line = {"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {"model": "auto", "input": "hi"}}
        file = await client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
        batches = [
            (await client.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id=file.id)).id
            for _ in range(6)
        ]
        turns = [(await client.responses.create(model="auto", input="hi", background=True)).id for _ in range(6)]
    assert {"/v1/batches", "/v1/responses"} <= set(rejected)
    assert (len(set(batches)), len(set(turns))) == (6, 6)


async def test_errors_become_the_sdks_exceptions() -> None:
    async with sdk(api()) as client:
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve("resp_1")
        with pytest.raises(openai.BadRequestError) as caught:
            await client.responses.create(model="gpt-9", input="hi")
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="other").models.list()

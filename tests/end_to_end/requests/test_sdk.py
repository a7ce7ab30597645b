"""Does the unmodified OpenAI SDK do all that it can with a response?"""

import asyncio
import time
from collections.abc import AsyncIterator

import jwt
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent

from standins.clock import now
from tests.checks import every
from tests.end_to_end.callers import AFRESH, PINNED, counted
from tests.end_to_end.conftest import Scene
from tests.end_to_end.waiting import eventually

LONG = 400


@pytest.fixture
async def sdk(scene: Scene) -> AsyncIterator[AsyncOpenAI]:
    async with scene.caller.sdk(max_retries=0) as client:
        yield client


def joined(events: list[ResponseStreamEvent]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


async def ended(sdk: AsyncOpenAI, response_id: str) -> Response:
    async def look() -> Response | None:
        found = await sdk.responses.retrieve(response_id)
        return found if found.status not in {"queued", "in_progress"} else None

    return await eventually(look, what=f"the end of {response_id}")


@pytest.mark.parametrize("model", [PINNED, AFRESH, "scripted", "auto"])
async def test_it_creates_a_response(sdk: AsyncOpenAI, model: str) -> None:
    response = await sdk.responses.create(model=model, input="COUNT 7", metadata={"ticket": "42"})
    assert response.output_text == counted(7)
    assert response.status == "completed"
    assert response.metadata == {"ticket": "42"}
    assert response.usage is not None
    assert response.usage.output_tokens == 7
    assert await sdk.responses.retrieve(response.id) == response


async def test_it_streams_events_of_the_documented_order(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model=PINNED, input="COUNT 30", stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert joined(events) == counted(30)
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == counted(30)
    assert await sdk.responses.retrieve(last.response.id) == last.response


async def test_deltas_arrive_while_the_model_still_speaks(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model=PINNED, input="COUNT 100", stream=True)
    arrived = [time.monotonic() async for event in stream if event.type == "response.output_text.delta"]
    assert len(arrived) >= 5
    assert arrived[-1] - arrived[0] > 0.5


async def test_its_stream_helper_gives_the_final_response(sdk: AsyncOpenAI) -> None:
    async with sdk.responses.stream(model=PINNED, input="COUNT 20") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert final.output_text == counted(20)


async def test_its_stream_helper_resumes_a_background_response(sdk: AsyncOpenAI) -> None:
    started = await sdk.responses.create(model=PINNED, input="COUNT 60", background=True)
    async with sdk.responses.stream(response_id=started.id, starting_after=4) as stream:
        numbers = [event.sequence_number async for event in stream]
        final = await stream.get_final_response()
    assert numbers[0] == 5
    assert final.output_text == counted(60)


async def test_a_background_response_is_polled_to_its_end(sdk: AsyncOpenAI) -> None:
    started = await sdk.responses.create(model=PINNED, input="COUNT 80", background=True)
    assert started.status in {"queued", "in_progress"}
    assert started.background is True
    assert (await ended(sdk, started.id)).output_text == counted(80)


async def test_a_background_stream_begins_in_the_queue(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model=PINNED, input="COUNT 5", background=True, stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert joined(events) == counted(5)


async def test_a_stream_is_resumed_after_any_of_its_events(sdk: AsyncOpenAI) -> None:
    stream = await sdk.responses.create(model=PINNED, input="COUNT 40", stream=True)
    whole = [event async for event in stream]
    last = whole[-1]
    assert last.type == "response.completed"
    for after in (0, 3, len(whole) // 2, len(whole) - 2):
        resumed = await sdk.responses.retrieve(last.response.id, stream=True, starting_after=after)
        assert [event async for event in resumed] == whole[after + 1 :]


async def test_a_live_stream_that_was_left_is_resumed_in_its_middle(sdk: AsyncOpenAI) -> None:
    seen: list[ResponseStreamEvent] = []
    async with await sdk.responses.create(model=PINNED, input="COUNT 150", stream=True) as stream:
        async for event in stream:
            seen.append(event)
            if len(seen) == 8:
                break
    first = seen[0]
    assert first.type == "response.created"
    resumed = await sdk.responses.retrieve(first.response.id, stream=True, starting_after=seen[-1].sequence_number)
    seen += [event async for event in resumed]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert joined(seen) == counted(150)


async def test_many_readers_of_one_response_see_the_same(sdk: AsyncOpenAI) -> None:
    started = await sdk.responses.create(model=PINNED, input="COUNT 60", background=True)

    async def read() -> list[ResponseStreamEvent]:
        return [event async for event in await sdk.responses.retrieve(started.id, stream=True)]

    first, *others = await asyncio.gather(*(read() for _ in range(8)))
    assert joined(first) == counted(60)
    assert every(other == first for other in others)


async def test_a_background_response_is_cancelled(sdk: AsyncOpenAI) -> None:
    started = await sdk.responses.create(model=PINNED, input=f"COUNT {LONG}", background=True)
    cancelled = await sdk.responses.cancel(started.id)
    assert cancelled.status == "cancelled"
    assert await sdk.responses.cancel(started.id) == cancelled
    assert await sdk.responses.retrieve(started.id) == cancelled


async def test_a_conversation_goes_on_from_a_response(sdk: AsyncOpenAI) -> None:
    first = await sdk.responses.create(model=PINNED, input="ECHO the anchor is green")
    second = await sdk.responses.create(model=PINNED, input="COUNT 2", previous_response_id=first.id)
    third = await sdk.responses.create(model=PINNED, input="RECALL", previous_response_id=second.id)
    assert second.previous_response_id == first.id
    assert third.output_text == "ECHO the anchor is green"


async def test_an_answer_cut_by_its_limit_is_incomplete(sdk: AsyncOpenAI) -> None:
    response = await sdk.responses.create(model=PINNED, input="COUNT 50", max_output_tokens=16)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == counted(16)


@pytest.mark.parametrize(("user", "tenant"), [("bob", "contoso"), ("alice", "fabrikam")])
async def test_nobody_else_finds_a_response(scene: Scene, sdk: AsyncOpenAI, user: str, tenant: str) -> None:
    mine = await sdk.responses.create(model=PINNED, input=f"COUNT {LONG}", background=True)
    async with AsyncOpenAI(
        base_url=f"{scene.cluster.base_url}/v1", api_key=scene.cluster.token(user=user, tenant=tenant), max_retries=0
    ) as other:
        with pytest.raises(openai.NotFoundError, match=f"Response with id '{mine.id}' not found."):
            await other.responses.retrieve(mine.id)
        with pytest.raises(openai.NotFoundError):
            await other.responses.retrieve(mine.id, stream=True, starting_after=0)
        with pytest.raises(openai.NotFoundError):
            await other.responses.cancel(mine.id)
        with pytest.raises(openai.BadRequestError) as refused:
            await other.responses.create(model=PINNED, input="COUNT 1", previous_response_id=mine.id)
        assert refused.value.code == "previous_response_not_found"
        assert refused.value.param == "previous_response_id"
    assert (await sdk.responses.cancel(mine.id)).status == "cancelled"


async def test_an_application_is_an_owner_of_its_own(scene: Scene, sdk: AsyncOpenAI) -> None:
    async with AsyncOpenAI(base_url=f"{scene.cluster.base_url}/v1", api_key=scene.cluster.app_token()) as batch:
        own = await batch.responses.create(model=PINNED, input="COUNT 3")
        assert own.output_text == counted(3)
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(own.id)


async def refusal(sdk: AsyncOpenAI, **given: object) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as refused:
        await sdk.post("/responses", body=given, cast_to=Response)
    return refused.value


@pytest.mark.parametrize(
    ("given", "kind", "param", "code"),
    [
        ({"model": PINNED, "input": 5}, openai.BadRequestError, "input", "invalid_type"),
        ({"model": "gpt-0", "input": "x"}, openai.BadRequestError, "model", "model_not_found"),
        ({"model": PINNED, "input": "x", "temperature": 3}, openai.BadRequestError, "temperature", "invalid_value"),
        (
            {"model": PINNED, "input": "x", "prompt": {"id": "pmpt_1"}},
            openai.BadRequestError,
            "prompt",
            "unsupported_parameter",
        ),
    ],
)
async def test_a_wrong_request_is_rejected_with_the_name_of_its_field(
    sdk: AsyncOpenAI, given: dict[str, object], kind: type[openai.APIStatusError], param: str, code: str
) -> None:
    error = await refusal(sdk, **given)
    assert type(error) is kind
    assert error.param == param
    assert error.type == "invalid_request_error"
    assert error.code == code
    assert error.request_id is not None


async def test_a_running_response_can_not_be_gone_on_from(sdk: AsyncOpenAI) -> None:
    running = await sdk.responses.create(model=PINNED, input=f"COUNT {LONG}", background=True)
    error = await refusal(sdk, model=PINNED, input="COUNT 1", previous_response_id=running.id)
    assert isinstance(error, openai.ConflictError)
    assert error.code == "conversation_locked"
    assert error.response.headers["x-should-retry"] == "true"
    assert error.response.headers["x-ganglion-running-response"] == running.id
    await sdk.responses.cancel(running.id)


@pytest.mark.parametrize("background", [False, True])
async def test_a_response_that_can_not_be_cancelled_says_so(sdk: AsyncOpenAI, background: bool) -> None:  # noqa: FBT001 - a parameter of the table
    response = await sdk.responses.create(model=PINNED, input="COUNT 2", background=background)
    await ended(sdk, response.id)
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk.responses.cancel(response.id)
    assert refused.value.code == "not_cancellable"


async def test_an_unknown_response_and_an_unknown_route_are_not_found(sdk: AsyncOpenAI) -> None:
    for identifier in ("resp_677efb5139a88190b512bc3fef8e535d", "resp_" + "0" * 48, "nonsense"):
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(identifier)
    with pytest.raises(openai.NotFoundError):
        await sdk.embeddings.create(model="x", input="x")


@pytest.mark.parametrize("flaw", ["malformed", "forged", "expired", "for others", "of a strange tenant"])
async def test_an_invalid_token_is_rejected(scene: Scene, flaw: str) -> None:
    cluster = scene.cluster
    tokens = {
        "malformed": "sk-123",
        "forged": cluster.token()[:-8] + "AAAAAAAA",
        "expired": cluster.issuer.user_token(now=now() - 90_000),
        "for others": cluster.issuer.user_token(now=now(), claims={"aud": "https://graph.microsoft.com"}),
        "of a strange tenant": cluster.token(tenant="nowhere"),
    }
    before = await scene.books.unfinished()
    async with AsyncOpenAI(base_url=f"{cluster.base_url}/v1", api_key=tokens[flaw], max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.responses.create(model=PINNED, input="COUNT 1")
    assert refused.value.code == "invalid_api_key"
    assert set(await scene.books.unfinished()) <= set(before)


async def test_an_unsigned_token_is_rejected(scene: Scene) -> None:
    claims = jwt.decode(scene.cluster.token(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, key="", algorithm="none")
    async with AsyncOpenAI(base_url=f"{scene.cluster.base_url}/v1", api_key=unsigned, max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()

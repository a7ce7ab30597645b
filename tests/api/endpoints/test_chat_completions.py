"""Do chat completions work with the official SDK?"""

from typing import Any

import openai
import pytest

from domain.fleet.catalog import ContinuationMode
from domain.fleet.failure_classes import FailureKind
from tests.api.harness import ANSWER, api
from tests.api.test_sdk import sdk
from tests.checks import every
from tests.fakes.backends import FakeBackend, interrupted, rejects, says
from tests.fakes.worlds import backend

MESSAGES: list[Any] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


async def test_a_chat_is_answered() -> None:
    async with sdk(api()) as client:
        made = await client.chat.completions.create(model="auto", messages=MESSAGES, user="me")
    assert made.choices[0].message.content == ANSWER
    assert made.choices[0].finish_reason == "stop"
    assert made.usage
    assert made.usage.completion_tokens == 4


async def test_a_chat_is_streamed_with_its_usage_on_request() -> None:
    async with sdk(api()) as client:
        options: Any = {"include_usage": True}
        stream = await client.chat.completions.create(
            model="auto", messages=MESSAGES, stream=True, stream_options=options
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 4
    assert every("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1])


async def test_a_streamed_chat_has_no_usage_by_default() -> None:
    async with sdk(api()) as client:
        stream = await client.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
        chunks = [chunk async for chunk in stream]
    assert every(chunk.choices and "usage" not in chunk.model_fields_set for chunk in chunks)


async def test_a_chat_cut_at_its_limit_finishes_with_length() -> None:
    async with sdk(api(FakeBackend(says("one two", reason="length")))) as client:
        made = await client.chat.completions.create(model="auto", messages=MESSAGES, max_completion_tokens=2)
    assert made.choices[0].finish_reason == "length"


async def test_a_content_filter_is_reported_by_both_apis() -> None:
    one = api(FakeBackend(says("one two", reason="content_filter"), says("three", reason="content_filter")))
    async with sdk(one) as client:
        made = await client.chat.completions.create(model="auto", messages=MESSAGES)
        assert (made.choices[0].finish_reason, made.choices[0].message.content) == ("content_filter", "one two")
        response = await client.responses.create(model="auto", input="hi")
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "content_filter"
    assert response.output_text == "three"


ANSWER_FIELDS: dict[str, Any] = {
    "frequency_penalty": -2,
    "function_call": "none",
    "functions": [{"name": "name"}],
    "logprobs": True,
    "seed": 7,
    "stop": "\n",
    "web_search_options": {"search_context_size": "low"},
}


async def test_a_chat_of_zero_tokens_is_empty_and_calls_no_backend() -> None:
    backend = FakeBackend(says("never"))
    one = api(backend)
    answer = await one.http.post(
        "/v1/chat/completions", json={"messages": MESSAGES, "max_completion_tokens": 0, "store": True, **ANSWER_FIELDS}
    )
    [choice] = answer.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"], choice["logprobs"]) == ("", "length", None)
    assert answer.headers["x-ganglion-ignored"] == ", ".join(sorted(ANSWER_FIELDS))
    assert backend.calls == []
    kept = (await one.http.get(f"/v1/chat/completions/{answer.json()['id']}")).json()
    assert kept["choices"] == answer.json()["choices"]


async def test_a_chat_continues_where_its_backend_was_interrupted() -> None:
    async with sdk(api(FakeBackend(interrupted("one two"), says(" three")))) as client:
        stream = await client.chat.completions.create(model="model@main", messages=MESSAGES, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == "one two three"


async def test_a_stream_whose_answer_restarts_ends_with_an_error() -> None:
    one = api(FakeBackend(interrupted("one two"), says("another answer")))
    plain = backend("main", ContinuationMode.NO)
    one.world.fleet.backends["main"] = plain  # type: ignore[index]
    async with sdk(one) as client:
        stream = await client.chat.completions.create(model="model@main", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError, match="interrupted"):
            _ = [chunk async for chunk in stream]


async def test_a_failed_turn_is_an_http_error() -> None:
    async with sdk(api(FakeBackend(rejects(400))), max_retries=0) as client:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="auto", messages=MESSAGES)


async def test_a_stream_of_a_failed_turn_ends_with_an_error() -> None:
    async with sdk(api(FakeBackend(interrupted("", FailureKind.WRONG_CONTENT_TYPE))), max_retries=0) as client:
        stream = await client.chat.completions.create(model="model@main", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError):
            _ = [chunk async for chunk in stream]

"""Does Chat Completions answer as the official SDK expects, by the same turns?"""

from collections.abc import Mapping
from typing import Any

import openai
import pytest

from api.parsing.chat_request import request_from_chat
from domain.content.items import ItemKind, Role
from domain.errors import Invalid
from domain.fleet.catalog import ContinuationMode
from domain.fleet.failure_classes import FailureKind
from tests.api.harness import ANSWER, api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, interrupted, rejects, says
from tests.fakes.worlds import backend

ASKED: list[Any] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


async def test_a_chat_is_answered() -> None:
    async with sdk(api()) as client:
        made = await client.chat.completions.create(model="auto", messages=ASKED, user="me")
    assert made.choices[0].message.content == ANSWER
    assert made.choices[0].finish_reason == "stop"
    assert made.usage
    assert made.usage.completion_tokens == 4


async def test_a_chat_is_streamed_and_tells_its_usage_when_it_is_asked_to() -> None:
    async with sdk(api()) as client:
        options: Any = {"include_usage": True}
        stream = await client.chat.completions.create(model="auto", messages=ASKED, stream=True, stream_options=options)
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == 4


async def test_a_chat_without_that_wish_tells_no_usage() -> None:
    async with sdk(api()) as client:
        stream = await client.chat.completions.create(model="auto", messages=ASKED, stream=True)
        chunks = [chunk async for chunk in stream]
    assert all(chunk.choices for chunk in chunks)


async def test_a_chat_cut_at_its_limit_says_length() -> None:
    async with sdk(api(FakeBackend(says("one two", reason="length")))) as client:
        made = await client.chat.completions.create(model="auto", messages=ASKED, max_completion_tokens=2)
    assert made.choices[0].finish_reason == "length"


async def test_a_chat_that_a_filter_cuts_off_says_so_in_both_apis() -> None:
    one = api(FakeBackend(says("one two", reason="content_filter"), says("three", reason="content_filter")))
    async with sdk(one) as client:
        made = await client.chat.completions.create(model="auto", messages=ASKED)
        assert (made.choices[0].finish_reason, made.choices[0].message.content) == ("content_filter", "one two")
        response = await client.responses.create(model="auto", input="hi")
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "content_filter"
    assert response.output_text == "three"


SHAPED: dict[str, Any] = {
    "frequency_penalty": -2,
    "function_call": "none",
    "functions": [{"name": "name"}],
    "logprobs": True,
    "seed": 7,
    "stop": "\n",
    "web_search_options": {"search_context_size": "low"},
}


async def test_a_chat_of_no_tokens_is_empty_asks_no_backend_and_has_nothing_to_shape() -> None:
    backend = FakeBackend(says("never"))
    one = api(backend)
    answer = await one.http.post(
        "/v1/chat/completions", json={"messages": ASKED, "max_completion_tokens": 0, "store": True, **SHAPED}
    )
    [choice] = answer.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"], choice["logprobs"]) == ("", "length", None)
    assert answer.headers["x-ganglion-ignored"] == ", ".join(sorted(SHAPED))
    assert backend.calls == []
    kept = (await one.http.get(f"/v1/chat/completions/{answer.json()['id']}")).json()
    assert kept["choices"] == answer.json()["choices"]


async def test_a_chat_goes_on_where_its_backend_broke_off() -> None:
    async with sdk(api(FakeBackend(interrupted("one two"), says(" three")))) as client:
        stream = await client.chat.completions.create(model="model@main", messages=ASKED, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == "one two three"


async def test_a_stream_whose_answer_begins_afresh_ends_in_an_error_and_never_in_a_wrong_text() -> None:
    one = api(FakeBackend(interrupted("one two"), says("another answer")))
    plain = backend("main", ContinuationMode.NO)
    one.world.fleet.backends["main"] = plain  # type: ignore[index]
    async with sdk(one) as client:
        stream = await client.chat.completions.create(model="model@main", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError, match="broken off"):
            _ = [chunk async for chunk in stream]


async def test_a_failed_turn_is_an_error_of_the_server() -> None:
    async with sdk(api(FakeBackend(rejects(400))), max_retries=0) as client:
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model="auto", messages=ASKED)


async def test_a_stream_of_a_failed_turn_ends_in_an_error() -> None:
    async with sdk(api(FakeBackend(interrupted("", FailureKind.WRONG_CONTENT_TYPE))), max_retries=0) as client:
        stream = await client.chat.completions.create(model="model@main", messages=ASKED, stream=True)
        with pytest.raises(openai.APIError):
            _ = [chunk async for chunk in stream]


def test_messages_become_items_in_their_order() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "call_1"},
    ]
    items: Any = request_from_chat({"messages": messages}).turn.input_items
    assert [(item.kind, item.role, item.text) for item in items] == [
        (ItemKind.MESSAGE, Role.USER, "one two"),
        (ItemKind.FUNCTION_CALL, Role.ASSISTANT, "{}"),
        (ItemKind.FUNCTION_OUTPUT, Role.USER, "3"),
    ]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
    ({"messages": ASKED, "n": 2}, "n"),
    ({"messages": ASKED, "logprobs": True}, "logprobs"),
    ({"messages": ASKED, "tools": [{}]}, "tools[0].type"),
    ({"messages": ASKED, "web_search_options": {}}, "web_search_options"),
    ({"messages": ASKED, "modalities": ["text", "audio"]}, "modalities"),
    ({"messages": ASKED, "moderation": {"model": "m", "policy": {"input": {"mode": "block"}}}}, "moderation"),
    ({"messages": ASKED, "max_tokens": 0, "n": 2}, "n"),
    ({"messages": ASKED, "max_tokens": 0, "logprobs": True, "max_completion_tokens": 5}, "logprobs"),
    ({"messages": ASKED, "temperature": 3}, "temperature"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_what_is_wrong_is_named(body: Mapping[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_chat(body)
    assert caught.value.field == field


def test_what_is_so_anyway_is_accepted() -> None:
    neutral: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "tools": [],
        "response_format": {"type": "text"},
        "stop": None,
    }
    assert request_from_chat({"messages": ASKED, **neutral}).turn.ignored == ()


def test_what_can_not_change_an_answer_is_passed_over_and_named() -> None:
    scores = {"model": "m", "policy": {"input": {"mode": "score"}, "output": {"mode": "score"}}}
    harmless: dict[str, Any] = {
        "audio": {"format": "wav", "voice": "alloy"},
        "moderation": scores,
        "prediction": {"type": "content", "content": "x"},
        "stream_options": {"include_obfuscation": True},
    }
    ignored = request_from_chat({"messages": ASKED, **harmless}).turn.ignored
    assert set(ignored) == {"audio", "moderation", "prediction", "stream_options.include_obfuscation"}

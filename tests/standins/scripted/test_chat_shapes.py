"""Do OpenAI's own types read what the scripted model answers, whole and as a stream?"""

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from standins.scripted.chat_request import request_from_body
from standins.scripted.chat_shapes import DONE, ChatReply, error, frames_of
from standins.scripted.plan import ScriptedCall
from standins.scripted.script import ScriptedAnswer

PIECES = ("one", " two")
TEXT = ScriptedAnswer(pieces=PIECES, finish="stop")
CALLED = ScriptedAnswer(pieces=('{"n"', ": 1}"), finish="tool_calls", tool="find")
PLANNED = ScriptedAnswer(
    pieces=(),
    finish="tool_calls",
    calls=(ScriptedCall(name="find", arguments='{"n": 1}'), ScriptedCall(name="note", arguments="{}")),
)


def reply(answer: ScriptedAnswer, **fields: Any) -> ChatReply:
    chat = request_from_body({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields})
    return ChatReply(id="chatcmpl-1", created=1, chat=chat, answer=answer)


def whole(answer: ScriptedAnswer, **fields: Any) -> ChatCompletion:
    return ChatCompletion.model_validate_json(b"".join(frame.data for frame in frames_of(reply(answer, **fields))))


def streamed(answer: ScriptedAnswer, **fields: Any) -> list[ChatCompletionChunk]:
    *frames, last = frames_of(reply(answer, stream=True, **fields))
    assert last.data == DONE
    return [ChatCompletionChunk.model_validate(json.loads(frame.data.removeprefix(b"data: "))) for frame in frames]


def test_a_text_is_the_same_whole_and_as_a_stream() -> None:
    found = whole(TEXT)
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == ("one two", "stop")
    assert found.usage is not None
    assert (found.usage.completion_tokens, found.usage.total_tokens) == (2, found.usage.prompt_tokens + 2)
    chunks = streamed(TEXT)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]


def test_usage_comes_last_in_a_stream_where_it_is_asked_for() -> None:
    *chunks, last = streamed(TEXT, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 2
    assert [chunk.usage for chunk in chunks if chunk.usage] == []


@pytest.mark.parametrize(
    ("answer", "calls"),
    [(CALLED, [("find", '{"n": 1}')]), (PLANNED, [("find", '{"n": 1}'), ("note", "{}")])],
)
def test_calls_are_the_same_whole_and_as_a_stream(answer: ScriptedAnswer, calls: list[tuple[str, str]]) -> None:
    message = whole(answer).choices[0].message
    assert message.content is None
    found = [each for each in message.tool_calls or () if each.type == "function"]
    assert [(each.function.name, each.function.arguments) for each in found] == calls
    assert len({each.id for each in found}) == len(calls)
    parts: dict[int, list[str]] = {}
    for chunk in streamed(answer):
        for each in chunk.choices[0].delta.tool_calls or ():
            function = each.function
            assert function is not None
            parts.setdefault(each.index, []).extend([function.name or "", function.arguments or ""])
    assert ["".join(each) for each in parts.values()] == ["".join(each) for each in calls]


def test_each_token_has_as_many_options_as_were_asked_for() -> None:
    asked: dict[str, Any] = {"logprobs": True, "top_logprobs": 3}
    found = whole(TEXT, **asked).choices[0].logprobs
    assert found is not None
    assert found.content is not None
    assert [each.token for each in found.content] == list(PIECES)
    for each in found.content:
        assert bytes(each.bytes or ()).decode() == each.token
        assert len(each.top_logprobs) == 3
        assert each.top_logprobs[0].logprob == each.logprob
        assert each.logprob == max(option.logprob for option in each.top_logprobs) < 0
    scored = [chunk.choices[0].logprobs for chunk in streamed(TEXT, **asked)]
    assert [each.content[0].token for each in scored if each and each.content] == list(PIECES)
    assert whole(TEXT).choices[0].logprobs is None
    assert whole(CALLED, **asked).choices[0].logprobs is None


def test_a_body_comes_in_two_halves() -> None:
    first, second = frames_of(reply(TEXT))
    assert 0 <= len(second.data) - len(first.data) <= 1


def test_an_error_is_the_callers_or_the_servers() -> None:
    assert error(400, "no", "model")["error"]["type"] == "invalid_request_error"
    assert error(503, "no")["error"] == {"message": "no", "type": "server_error", "param": None, "code": 503}

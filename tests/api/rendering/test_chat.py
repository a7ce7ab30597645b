"""Is a log the chat completion, and the chunks, that OpenAI's types describe?"""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from api.rendering.chat import CANCELLED, FILTERED, chat_frames, chat_from_response, chat_id, response_id_of
from domain.content.items import ItemKind
from domain.identity.owners import Owner
from domain.log.events import Ending, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.item_events import ItemHeader
from domain.log.transcript import Transcript, after_event
from domain.turns.response import Response, ResponseOptions

THREAD = "a" * 24
TURN = Response(
    id=f"resp_{THREAD}{'b' * 24}",
    owner=Owner(tenant="t", subject="user:1"),
    created_at=1000.7,
    deadline_at=2000.0,
    options=ResponseOptions(model="m", metadata={"a": "b"}),
)
BEGIN = (LogEvent(kind=EventKind.CREATED), LogEvent(kind=EventKind.STARTED))
USAGE = TokenUsage(input_tokens=7, cached_tokens=2, output_tokens=5, reasoning_tokens=1)


def added(output: int, kind: ItemKind = ItemKind.MESSAGE, **fields: Any) -> LogEvent:
    prefix = {ItemKind.MESSAGE: "msg", ItemKind.REASONING: "rs", ItemKind.FUNCTION_CALL: "fc"}[kind]
    header = ItemHeader(id=f"{prefix}_{THREAD}{output:024x}", kind=kind, **fields)
    return LogEvent(kind=EventKind.ITEM_ADDED, output=output, header=header)


def said(output: int, *texts: str, kind: ItemKind = ItemKind.MESSAGE) -> tuple[LogEvent, ...]:
    begun = (added(output, kind), LogEvent(kind=EventKind.PART_ADDED, output=output))
    return (*begun, *(LogEvent(kind=EventKind.TEXT, output=output, text=text) for text in texts))


def called(output: int, name: str, arguments: str) -> tuple[LogEvent, ...]:
    return (
        added(output, ItemKind.FUNCTION_CALL, name=name, call_id=f"call_{output}"),
        LogEvent(kind=EventKind.ARGUMENTS, output=output, text=arguments),
        LogEvent(kind=EventKind.ARGUMENTS_DONE, output=output),
    )


def ended(status: ResponseStatus = ResponseStatus.COMPLETED, **fields: Any) -> LogEvent:
    return LogEvent(kind=EventKind.ENDED, ending=Ending(status=status, at=1010.0, usage=USAGE, **fields))


def transcript_of(*events: LogEvent) -> Transcript:
    found = Transcript()
    for event in events:
        found = after_event(found, event)
    return found


def completion(*events: LogEvent) -> ChatCompletion:
    return ChatCompletion.model_validate(chat_from_response(TURN, transcript_of(*BEGIN, *events)), strict=True)


def frames(*events: LogEvent, include_usage: bool = False) -> list[dict[str, Any]]:
    slot = Slot(number=0, writer="w", first=0, at=1.0, events=(*BEGIN, *events))
    shown = list(chat_frames(TURN, Transcript(), slot, include_usage=include_usage))
    assert {(each[:6], each[-2:]) for each in shown} == {(b"data: ", b"\n\n")}
    return [json.loads(each[6:]) for each in shown]


def chunks(bodies: Sequence[dict[str, Any]]) -> list[ChatCompletionChunk]:
    return [ChatCompletionChunk.model_validate(each) for each in bodies]


def test_a_chat_and_its_response_have_each_others_id() -> None:
    assert chat_id(TURN) == f"chatcmpl-{THREAD}{'b' * 24}"
    assert response_id_of(chat_id(TURN)) == TURN.id


def test_an_answer_is_a_completion_of_the_sdk_with_its_tokens() -> None:
    found = completion(*said(0, "thinking", kind=ItemKind.REASONING), *said(1, "he", "llo"), ended())
    assert (found.created, found.model, found.choices[0].finish_reason) == (1000, "m", "stop")
    assert found.choices[0].message.content == "hello"
    assert found.choices[0].message.to_dict()["reasoning_content"] == "thinking"
    assert found.usage is not None
    assert (found.usage.prompt_tokens, found.usage.completion_tokens, found.usage.total_tokens) == (7, 5, 12)
    assert found.usage.prompt_tokens_details is not None
    assert found.usage.prompt_tokens_details.cached_tokens == 2


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((*said(0, "a"), ended()), "stop"),
        ((*said(0, "a"), ended(ResponseStatus.INCOMPLETE, code="max_output_tokens")), "length"),
        ((*said(0, "a"), ended(ResponseStatus.INCOMPLETE, code=FILTERED)), "content_filter"),
        ((*called(0, "find", "{}"), ended()), "tool_calls"),
        ((*called(0, "find", "{}"), ended(ResponseStatus.INCOMPLETE, code="max_output_tokens")), "length"),
    ],
)
def test_the_reason_of_the_end_is_the_same_for_an_answer_and_a_stream(
    events: tuple[LogEvent, ...], reason: str
) -> None:
    assert completion(*events).choices[0].finish_reason == reason
    assert chunks(frames(*events))[-1].choices[0].finish_reason == reason


def test_a_call_alone_has_no_text_and_calls_count_from_zero() -> None:
    events = (*said(0, "hm", kind=ItemKind.REASONING), *called(1, "find", '{"n":1}'), *called(2, "pay", "{}"), ended())
    message = completion(*events).choices[0].message
    assert message.content is None
    assert [each.to_dict()["function"] for each in message.tool_calls or []] == [
        {"name": "find", "arguments": '{"n":1}'},
        {"name": "pay", "arguments": "{}"},
    ]
    deltas = [
        call for each in chunks(frames(*events)) for choice in each.choices for call in choice.delta.tool_calls or []
    ]
    assert [(each.index, each.id, each.function and each.function.arguments) for each in deltas] == [
        (0, "call_1", ""),
        (0, None, '{"n":1}'),
        (1, "call_2", ""),
        (1, None, "{}"),
    ]


def test_a_stream_begins_with_a_role_and_its_texts_add_up() -> None:
    found = chunks(frames(*said(0, "he", "llo"), ended()))
    assert found[0].choices[0].delta.role == "assistant"
    assert "".join(each.choices[0].delta.content or "" for each in found) == "hello"
    assert {each.id for each in found} == {chat_id(TURN)}


def test_only_a_stream_that_was_asked_for_its_usage_names_it_in_the_last_chunk() -> None:
    events = (*said(0, "a"), ended())
    assert ["usage" in each for each in frames(*events)] == [False] * 3
    *before, last = frames(*events, include_usage=True)
    assert [each["usage"] for each in before] == [None] * 3
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 12)


@pytest.mark.parametrize(
    ("events", "code", "message"),
    [
        (
            (ended(ResponseStatus.FAILED, code="rate_limit_exceeded", message="too many"),),
            "rate_limit_exceeded",
            "too many",
        ),
        ((ended(ResponseStatus.CANCELLED),), "cancelled", CANCELLED),
        ((*said(0, "a"), *said(1, "b"), ended()), "begun_afresh", "interrupted and restarted"),
    ],
)
def test_nothing_follows_an_error(events: tuple[LogEvent, ...], code: str, message: str) -> None:
    for include_usage in (False, True):
        error = frames(*events, include_usage=include_usage)[-1]
        assert error["error"]["code"] == code
        assert message in error["error"]["message"]
        assert set(error) == {"error"}


def test_a_failure_without_a_reason_is_one_of_the_server() -> None:
    error = frames(ended(ResponseStatus.FAILED))[-1]["error"]
    assert (error["code"], error["type"]) == ("server_error", "server_error")
    assert error["message"]


def test_a_stream_that_had_restarted_shows_nothing_more() -> None:
    before = transcript_of(*BEGIN, *said(0, "a"), *said(1, "b"))
    slot = Slot(number=1, writer="w", first=9, at=2.0, events=(ended(),))
    assert list(chat_frames(TURN, before, slot, include_usage=True)) == []

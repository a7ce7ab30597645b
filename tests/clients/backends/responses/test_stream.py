"""Does the openai SDK see each answer as we do?"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from copy import replace
from typing import Any

import httpx
import pytest
from aiohttp import web
from openai import AsyncOpenAI
from openai.types import responses as sdk
from pydantic import BaseModel

from clients.backends.port import AnswerEnd, BackendCall, BackendError, Channel, TextPiece
from clients.backends.responses.request import responses_body
from clients.backends.responses.stream import usage_in
from domain.content.tools import ToolConfig
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureClass, FailureKind, diagnose
from domain.log.events import TokenUsage
from tests.clients.backends.converse.conversations import CONVERSATION, LOOK
from tests.clients.backends.model_server import all_pieces, call, end_of, text_of
from tests.clients.backends.responses.test_request import backend
from tests.clients.backends.test_system_defaults import Answer, Server, json_answer, serving
from tests.fakes.backends import http_backend

USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 29,
}


def response(status: str = "completed", output: Sequence[BaseModel] = (), **changes: Any) -> sdk.Response:
    """Return a response as the SDK's own model has it."""
    fields: dict[str, Any] = {
        "id": "resp_1",
        "created_at": 1,
        "model": "served",
        "object": "response",
        "output": [each.model_dump() for each in output],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "status": status,
        "usage": USAGE,
    }
    return sdk.Response.model_validate(fields | changes)


def message(*texts: str, refusal: str = "") -> sdk.ResponseOutputMessage:
    parts: list[Any] = [sdk.ResponseOutputText(annotations=[], text=text, type="output_text") for text in texts]
    parts += [sdk.ResponseOutputRefusal(refusal=refusal, type="refusal")] if refusal else []
    return sdk.ResponseOutputMessage(id="msg_1", content=parts, role="assistant", status="completed", type="message")


def function_call(number: int) -> sdk.ResponseFunctionToolCall:
    return sdk.ResponseFunctionToolCall(
        id=f"fc_{number}", call_id=f"c{number}", name="look", arguments=f'{{"n":{number}}}', type="function_call"
    )


def delta(text: str, number: int = 0) -> sdk.ResponseTextDeltaEvent:
    return sdk.ResponseTextDeltaEvent(
        content_index=0,
        delta=text,
        item_id="msg_1",
        logprobs=[],
        output_index=0,
        sequence_number=number,
        type="response.output_text.delta",
    )


def refusal(text: str) -> sdk.ResponseRefusalDeltaEvent:
    return sdk.ResponseRefusalDeltaEvent(
        content_index=0, delta=text, item_id="msg_1", output_index=0, sequence_number=1, type="response.refusal.delta"
    )


def added(item: BaseModel, index: int) -> sdk.ResponseOutputItemAddedEvent:
    fields = {"item": item.model_dump(), "output_index": index, "sequence_number": 2}
    return sdk.ResponseOutputItemAddedEvent.model_validate({"type": "response.output_item.added", **fields})


def done(item: BaseModel, index: int) -> sdk.ResponseOutputItemDoneEvent:
    fields = {"item": item.model_dump(), "output_index": index, "sequence_number": 3}
    return sdk.ResponseOutputItemDoneEvent.model_validate({"type": "response.output_item.done", **fields})


def arguments(number: int, part: str, index: int) -> sdk.ResponseFunctionCallArgumentsDeltaEvent:
    return sdk.ResponseFunctionCallArgumentsDeltaEvent(
        delta=part,
        item_id=f"fc_{number}",
        output_index=index,
        sequence_number=4,
        type="response.function_call_arguments.delta",
    )


def ended(found: sdk.Response) -> BaseModel:
    return {
        "completed": sdk.ResponseCompletedEvent,
        "incomplete": sdk.ResponseIncompleteEvent,
        "failed": sdk.ResponseFailedEvent,
    }[found.status or ""].model_validate(
        {"response": found.model_dump(), "sequence_number": 9, "type": f"response.{found.status}"}
    )


def streaming(*events: BaseModel, cut: int = 11) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await reply.prepare(request)
        bodies = [(getattr(each, "type", "error"), each.model_dump_json(exclude_none=True)) for each in events]
        whole = "".join(f"event: {kind}\ndata: {body}\n\n" for kind, body in bodies).encode()
        for start in range(0, len(whole), cut):
            await reply.write(whole[start : start + cut])
        return reply

    return answer


async def read(server: Server, changed: Backend | None = None, request: BackendCall | None = None) -> Any:
    async with httpx.AsyncClient(trust_env=False) as http:
        client = http_backend(changed or backend(server.url), http, silence_s=5)
        return await all_pieces(client, request or call())


async def pieces(*events: BaseModel) -> Sequence[TextPiece | AnswerEnd]:
    async with serving(streaming(*events)) as server:
        return await read(server)


async def failure_of(*events: BaseModel) -> Failure:
    with pytest.raises(BackendError) as caught:
        await pieces(*events)
    return caught.value.failure


async def test_the_text_and_the_usage_are_read() -> None:
    answer = await pieces(delta("Hel"), delta("lo."), ended(response(output=[message("Hello.")])))
    usage = end_of(answer).usage
    assert [each.text for each in answer[:-1] if isinstance(each, TextPiece)] == ["Hel", "lo."]
    assert usage is not None
    assert (usage.input_tokens, usage.cached_tokens) == (20, 7)
    assert (usage.output_tokens, usage.reasoning_tokens) == (9, 4)
    assert end_of(answer).reason == "stop"


CALLS = [
    added(function_call(1).model_copy(update={"arguments": ""}), 1),
    arguments(1, '{"n":', 1),
    arguments(1, "1}", 1),
    done(function_call(1), 1),
    added(function_call(2).model_copy(update={"arguments": ""}), 2),
    done(function_call(2), 2),
]


async def judged(url: str, body: Mapping[str, Any]) -> list[Any]:
    async with AsyncOpenAI(api_key="key", base_url=url, max_retries=0) as client:
        create: Any = client.responses.create
        stream: AsyncIterator[Any] = await create(**body)
        return [event async for event in stream]


async def test_the_sdk_reads_the_same_answer_and_sends_the_same_request() -> None:
    events = [delta("Look."), *CALLS, ended(response(output=[message("Look."), function_call(1), function_call(2)]))]
    request = replace(call(), items=CONVERSATION, tools=ToolConfig(functions=(LOOK,)))
    async with serving(streaming(*events)) as server:
        theirs = await judged(server.url, responses_body(backend(), request))
        ours = await read(server, request=request)
    final = theirs[-1].response
    assert text_of(ours) == final.output_text == "Look."
    assert [(each.call_id, each.name, each.arguments) for each in end_of(ours).calls] == [
        (each.call_id, each.name, each.arguments) for each in final.output if each.type == "function_call"
    ]
    (_, path, _, sent), (_, our_path, headers, our_body) = server.requests
    assert (path, sent) == (our_path, our_body)
    assert (path, headers["accept"]) == ("/v1/responses", "text/event-stream")


@pytest.mark.parametrize("why", ["max_output_tokens", "content_filter"])
async def test_an_incomplete_answer_says_why(why: Any) -> None:
    answer = await pieces(delta("a"), ended(response("incomplete", incomplete_details={"reason": why})))
    assert end_of(answer).reason == ("length" if why == "max_output_tokens" else why)


async def test_a_refusal_is_no_answer_and_reasoning_is_left_out() -> None:
    thought = sdk.ResponseReasoningSummaryTextDeltaEvent(
        delta="hm",
        item_id="rs_1",
        output_index=0,
        sequence_number=0,
        summary_index=0,
        type="response.reasoning_summary_text.delta",
    )
    answer = await pieces(thought, refusal("No."), ended(response(output=[message(refusal="No.")])))
    assert answer[:-1] == [TextPiece(text="No.", channel=Channel.REFUSAL)]


@pytest.mark.parametrize(
    ("code", "status", "failure_class"),
    [
        ("server_error", 500, FailureClass.BROKEN),
        ("rate_limit_exceeded", 429, FailureClass.THROTTLED),
        ("invalid_prompt", 400, FailureClass.CLIENT),
    ],
)
async def test_an_error_in_mid_stream_has_its_status(code: Any, status: int, failure_class: FailureClass) -> None:
    error = {"code": code, "message": "Something of the prompt."}
    for event in (
        ended(response("failed", error=error)),
        sdk.ResponseErrorEvent(type="error", sequence_number=1, param=None, **error),
    ):
        failure = await failure_of(delta("a"), event)
        assert (failure.status, failure.text_received) == (status, True)
        found = diagnose(failure, ())
        assert found.failure_class is failure_class
        assert "prompt" not in found.reason


async def test_a_stream_that_stops_early_is_a_failure_and_a_word_that_we_do_not_know_is_none() -> None:
    assert (await failure_of(delta("a"))).kind is FailureKind.TRUNCATED
    unknown = delta("x").model_copy(update={"type": "response.something.new"})
    assert text_of(await pieces(unknown, delta("a"), ended(response()))) == "a"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"type": "response.output_text.delta", "delta": 5},
        {"type": "response.completed"},
        {"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": "x"}}},
        {"type": "response.output_item.done", "item": {}, "output_index": 0},
    ],
)
async def test_a_malformed_event_is_a_failure(body: Any) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=f"data: {json.dumps(body)}\n\n", content_type="text/event-stream")

    async with serving(answer) as server:
        with pytest.raises(BackendError) as caught:
            await read(server)
    assert caught.value.failure.kind is FailureKind.BAD_FRAME


async def test_an_answer_that_does_not_stream_is_read_the_same_way() -> None:
    found = response(output=[message("Let me ", "look."), function_call(1)])
    async with serving(json_answer(found.model_dump())) as server:
        answer = await read(server, replace(backend(server.url), streams=False))
    assert text_of(answer) == found.output_text
    assert [each.call_id for each in end_of(answer).calls] == ["c1"]
    assert server.requests[0][3]["stream"] is False


async def test_the_probe_asks_for_as_few_tokens_as_the_api_allows() -> None:
    async with serving(json_answer(response().model_dump())) as server, httpx.AsyncClient(trust_env=False) as http:
        await http_backend(backend(server.url), http, silence_s=5).probe()
    ((method, path, _, body),) = server.requests
    assert (method, path, body["max_output_tokens"]) == ("POST", "/v1/responses", 16)


async def test_fewer_tokens_than_the_api_allows_make_the_backend_unfit() -> None:
    async with serving(streaming()) as server:
        with pytest.raises(BackendError) as caught:
            await read(server, request=replace(call(), max_output_tokens=15))
    assert caught.value.failure.kind is FailureKind.INEXPRESSIBLE
    assert server.requests == []


def test_counts_below_zero_are_as_missing() -> None:
    assert usage_in({"input_tokens": 5, "output_tokens": 7}) == TokenUsage(input_tokens=5, output_tokens=7)
    assert usage_in({"input_tokens": -5, "output_tokens": 7}) is None
    assert usage_in({"input_tokens": 5, "output_tokens": -7}) is None

"""Does botocore's decoder see each answer as we do?"""

import asyncio
from collections.abc import Mapping, Sequence
from copy import replace
from typing import Any

import boto3
import httpx
import pytest
from aiohttp import web

from clients.backends.converse.request import converse_body
from clients.backends.formats.event_stream import CONTENT_TYPE
from clients.backends.port import AnswerEnd, BackendCall, BackendError, Channel, TextPiece
from domain.content.items import ImageInput, Role
from domain.fleet.failure_classes import FailureClass, FailureKind, diagnose
from tests.clients.backends.converse.conversations import CONVERSATION, MODEL, backend, message
from tests.clients.backends.formats.frames import event, exception
from tests.clients.backends.model_server import all_pieces, call
from tests.clients.backends.test_system_defaults import Answer, serving
from tests.fakes.backends import http_backend


def text(part: str, index: int = 0) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta={"text": part})


USAGE = {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "cacheReadInputTokens": 7, "cacheWriteInputTokens": 11}
START, STOP = event("messageStart", role="assistant"), event("messageStop", stopReason="end_turn")
META = event("metadata", usage=USAGE, metrics={"latencyMs": 1})


def streaming(*frames: bytes, status: int = 200, cut: int = 7) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"content-type": CONTENT_TYPE})
        await response.prepare(request)
        whole = b"".join(frames)
        for start in range(0, len(whole), cut):
            await response.write(whole[start : start + cut])
        return response

    return answer


async def pieces(*frames: bytes, request: BackendCall | None = None) -> Sequence[TextPiece | AnswerEnd]:
    async with serving(streaming(*frames)) as server, httpx.AsyncClient(trust_env=False) as http:
        return await all_pieces(http_backend(backend(server.url), http, silence_s=5), request or call())


async def failure_of(*frames: bytes) -> Any:
    with pytest.raises(BackendError) as caught:
        await pieces(*frames)
    return caught.value.failure


def end_of(answer: Sequence[TextPiece | AnswerEnd]) -> AnswerEnd:
    end = answer[-1]
    assert isinstance(end, AnswerEnd)
    return end


async def test_the_text_and_the_whole_input_are_read() -> None:
    answer = await pieces(START, text("Hel"), text("lo."), STOP, META)
    assert [piece.text for piece in answer[:-1] if isinstance(piece, TextPiece)] == ["Hel", "lo."]
    usage = end_of(answer).usage
    assert usage is not None
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (3 + 7 + 11, 7, 5)


async def test_aws_s_own_sdk_reads_the_same_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the judge of the frames that these tests write."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    body = converse_body(backend(), replace(call(), items=CONVERSATION))
    for each in body["messages"]:
        for block in each["content"]:
            if "image" in block:
                block["image"]["source"]["bytes"] = b"png"
    async with serving(streaming(START, text("Hel"), text("lo."), STOP, META)) as server:
        found = await asyncio.to_thread(judged, server.url.removesuffix("/v1"), body)
        theirs, ours = server.requests[0][3], converse_body(backend(), replace(call(), items=CONVERSATION))
    texts = [each["contentBlockDelta"]["delta"]["text"] for each in found if "contentBlockDelta" in each]
    assert texts == ["Hel", "lo."]
    assert found[-1]["metadata"]["usage"]["cacheReadInputTokens"] == 7
    assert theirs == ours


def judged(url: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    create: Any = boto3.client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - it has no types
    client = create("bedrock-runtime", region_name="us-east-1", endpoint_url=url)
    return [*client.converse_stream(modelId=MODEL, **body)["stream"]]


async def test_function_calls_come_in_parts() -> None:
    frames = [START, text("Let me look.")]
    for index in (1, 2):
        start = {"toolUse": {"toolUseId": f"t{index}", "name": "look"}}
        frames += [
            event("contentBlockStart", contentBlockIndex=index, start=start),
            event("contentBlockDelta", contentBlockIndex=index, delta={"toolUse": {"input": '{"n":'}}),
            event("contentBlockDelta", contentBlockIndex=index, delta={"toolUse": {"input": f"{index}}}"}}),
            event("contentBlockStop", contentBlockIndex=index),
        ]
    answer = await pieces(*frames, event("messageStop", stopReason="tool_use"), META)
    calls = [(each.call_id, each.name, each.arguments) for each in end_of(answer).calls]
    assert calls == [("t1", "look", '{"n":1}'), ("t2", "look", '{"n":2}')]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
    ],
)
async def test_each_stop_reason_means_what_it_says(reason: str, expected: str) -> None:
    assert end_of(await pieces(START, text("a"), event("messageStop", stopReason=reason), META)).reason == expected


async def test_reasoning_is_apart_from_the_answer_and_a_malformed_output_is_a_failure() -> None:
    reasoning = event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"text": "hm"}})
    answer = await pieces(START, reasoning, text("a"), STOP)
    assert answer[:-1] == [TextPiece(text="hm", channel=Channel.REASONING), TextPiece(text="a")]
    assert end_of(answer).usage is None
    failure = await failure_of(START, text("a"), event("messageStop", stopReason="malformed_tool_use"))
    assert (failure.kind, failure.body) == (FailureKind.FINISH_REASON, "malformed_tool_use")


@pytest.mark.parametrize(
    ("name", "status", "failure_class"),
    [
        ("throttlingException", 429, FailureClass.THROTTLED),
        ("modelStreamErrorException", 424, FailureClass.BROKEN),
        ("internalServerException", 500, FailureClass.BROKEN),
        ("validationException", 400, FailureClass.CLIENT),
    ],
)
async def test_an_exception_in_mid_stream_has_its_status(name: str, status: int, failure_class: FailureClass) -> None:
    failure = await failure_of(START, text("a"), exception(name))
    assert (failure.status, failure.text_received) == (status, True)
    found = diagnose(failure, ())
    assert found.failure_class is failure_class
    assert "123456789012" not in found.reason


async def test_a_stream_that_stops_early_or_is_damaged_is_a_failure() -> None:
    assert (await failure_of(START, text("a"))).kind is FailureKind.TRUNCATED
    assert (await failure_of(START, text("a"), STOP[:-9])).kind is FailureKind.TRUNCATED
    damaged = text("a")[:-1] + b"\x00"
    assert (await failure_of(START, damaged, STOP)).kind is FailureKind.BAD_FRAME
    assert (await failure_of(b"\xff" * 40)).kind is FailureKind.BAD_FRAME
    assert (await failure_of(START, event("contentBlockDelta"), STOP)).kind is FailureKind.BAD_FRAME


async def test_the_address_names_the_model_and_the_probe_asks_for_one_token() -> None:
    async with serving(streaming(START, text("a"), STOP)) as server, httpx.AsyncClient(trust_env=False) as http:
        client = http_backend(backend(server.url), http, silence_s=5)
        await all_pieces(client, call())
        await client.probe()
    (_, path, headers, _), (method, probe, _, body) = server.requests
    encoded = MODEL.replace(":", "%3A").replace("/", "%2F")
    assert path in {f"/model/{encoded}/converse-stream", f"/model/{MODEL.replace('/', '%2F')}/converse-stream"}
    assert headers["accept"] == CONTENT_TYPE
    assert (method, probe.rpartition("/")[2], body["inferenceConfig"]) == ("POST", "converse", {"maxTokens": 1})


async def test_an_image_of_another_type_makes_the_backend_unfit() -> None:
    image = ImageInput(url="data:image/tiff;base64,AAAA")
    request = replace(call(), items=(message(Role.USER, "See", images=(image,)),))
    with pytest.raises(BackendError) as caught:
        await pieces(request=request)
    assert caught.value.failure.kind is FailureKind.INEXPRESSIBLE
    assert diagnose(caught.value.failure, ()).failure_class is FailureClass.UNFIT

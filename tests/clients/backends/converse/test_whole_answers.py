"""Is an answer of Converse that arrives as a whole read as Bedrock's own SDK reads it?"""

import asyncio
import json
from collections.abc import Sequence
from copy import replace
from typing import Any

import boto3
import httpx
import pytest
from aiohttp import web

from clients.backends.port import AnswerEnd, BackendError, Channel, TextPiece
from domain.fleet.failure_classes import FailureKind
from tests.clients.backends.converse.conversations import MODEL, backend
from tests.clients.backends.converse.test_stream import USAGE
from tests.clients.backends.model_server import all_pieces, call, end_of
from tests.clients.backends.test_system_defaults import Server, json_answer, serving
from tests.fakes.backends import http_backend

TEXT, CALL = {"text": "Let me look."}, {"toolUse": {"toolUseId": "t1", "name": "look", "input": {"n": 1}}}
REASONING = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [REASONING, TEXT, CALL]}},
    "stopReason": "tool_use",
    "usage": USAGE,
    "metrics": {"latencyMs": 1},
}


async def read(server: Server) -> Sequence[TextPiece | AnswerEnd]:
    async with httpx.AsyncClient(trust_env=False) as http:
        whole = replace(backend(server.url), streams=False)
        return await all_pieces(http_backend(whole, http, silence_s=5), call())


async def failure_of(body: Any) -> FailureKind:
    async with serving(json_answer(body)) as server:
        with pytest.raises(BackendError) as caught:
            await read(server)
    return caught.value.failure.kind


def judged(url: str) -> dict[str, Any]:
    create: Any = boto3.client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - it has no types
    client = create("bedrock-runtime", region_name="us-east-1", endpoint_url=url.removesuffix("/v1"))
    return client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": "Look."}]}])


async def test_it_is_read_as_aws_s_own_sdk_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    async with serving(json_answer(ANSWER)) as server:
        theirs = await asyncio.to_thread(judged, server.url)
        ours = await read(server)
    *_, sent = server.requests
    assert (sent[1].rpartition("/")[2], sent[2]["accept"]) == ("converse", "application/json")
    assert server.requests[0][1].rpartition("/")[2] == "converse"
    reasoning, text, used = theirs["output"]["message"]["content"]
    assert ours[:-1] == [
        TextPiece(text=reasoning["reasoningContent"]["reasoningText"]["text"], channel=Channel.REASONING),
        TextPiece(text=text["text"]),
    ]
    (function,), usage = end_of(ours).calls, end_of(ours).usage
    assert (function.call_id, function.name) == (used["toolUse"]["toolUseId"], used["toolUse"]["name"])
    assert json.loads(function.arguments) == used["toolUse"]["input"]
    assert usage is not None
    counted = theirs["usage"]
    assert usage.input_tokens == sum(counted[f"{name}InputTokens"] for name in ("cacheRead", "cacheWrite")) + 3
    assert (usage.output_tokens, usage.cached_tokens) == (counted["outputTokens"], counted["cacheReadInputTokens"])


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"output": None, "stopReason": "end_turn"},
        {"output": {"message": {"content": [{"toolUse": {"name": "look"}}]}}, "stopReason": "tool_use"},
        {"output": {"message": {"content": [{"text": 5}]}}, "stopReason": "end_turn"},
        {"output": {"message": {"content": "text"}}, "stopReason": "end_turn"},
        {"output": {"message": {"content": [TEXT]}}, "stopReason": "end_turn", "usage": 5},
        {"output": {"message": {"content": [TEXT]}}, "stopReason": 5},
    ],
)
async def test_another_body_is_a_failure(body: Any) -> None:
    assert await failure_of(body) is FailureKind.BAD_FRAME


async def test_an_answer_without_an_end_or_with_a_malformed_one_is_a_failure() -> None:
    assert await failure_of({**ANSWER, "stopReason": ""}) is FailureKind.TRUNCATED
    assert await failure_of({**ANSWER, "stopReason": "malformed_model_output"}) is FailureKind.FINISH_REASON


async def test_a_stream_is_no_answer_where_a_whole_one_is_expected() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"", content_type="application/vnd.amazon.eventstream")

    async with serving(answer) as server:
        with pytest.raises(BackendError) as caught:
            await read(server)
    assert caught.value.failure.kind is FailureKind.WRONG_CONTENT_TYPE

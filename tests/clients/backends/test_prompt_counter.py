"""Does a backend count the prompt of a chat as its server documents it?"""

import json
from typing import Any

import httpx
import pytest

from clients.backends.http_backend import HttpBackend
from clients.backends.port import BackendError
from clients.backends.prompt_counter import HttpPromptCounter
from domain.content.tools import FunctionTool, ToolConfig
from domain.fleet.extra_requests import TokenCounting
from domain.fleet.failure_classes import FailureKind
from tests.clients.backends.model_server import ChunkedBody, backend_at, call

LLAMA = TokenCounting(path="chat/completions/input_tokens", field="input_tokens")
VLLM = TokenCounting(path="/tokenize", field="count")


class Server:
    def __init__(self, answer: Any, *, status: int = 200) -> None:
        self.answer = answer
        self.status = status
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return httpx.Response(self.status, stream=ChunkedBody([json.dumps(self.answer).encode()]))

    def counter(self, counting: TokenCounting) -> HttpPromptCounter:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return HttpPromptCounter(HttpBackend(backend_at("http://server/v1"), http, silence_s=1), counting)


async def test_llama_cpp_counts_the_body_of_a_chat() -> None:
    server = Server({"input_tokens": 37, "object": "response.input_tokens"})
    assert await server.counter(LLAMA).count(call()) == 37
    [request] = server.seen
    assert request.url.path == "/v1/chat/completions/input_tokens"
    assert set(json.loads(request.content)) == {"model", "messages"}


async def test_vllm_counts_at_its_origin_with_the_tools() -> None:
    server = Server({"count": 12, "max_model_len": 4096, "tokens": [1] * 12, "token_strs": None})
    tools = ToolConfig(functions=(FunctionTool(name="find"),))
    asked = call()
    with_tools = type(asked)(
        instructions=asked.instructions,
        items=asked.items,
        sampling=asked.sampling,
        max_output_tokens=1,
        tools=tools,
    )
    assert await server.counter(VLLM).count(with_tools) == 12
    [request] = server.seen
    assert request.url.path == "/tokenize"
    body = json.loads(request.content)
    assert body["tools"][0]["function"]["name"] == "find"
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        ({"error": "File Not Found"}, 404, FailureKind.STATUS),
        ({"input_tokens": "37"}, 200, FailureKind.BAD_FRAME),
        ({"input_tokens": True}, 200, FailureKind.BAD_FRAME),
        ({"input_tokens": -1}, 200, FailureKind.BAD_FRAME),
        ([], 200, FailureKind.BAD_FRAME),
    ],
)
async def test_an_answer_without_a_count_is_a_failure(answer: Any, status: int, kind: FailureKind) -> None:
    with pytest.raises(BackendError) as raised:
        await Server(answer, status=status).counter(LLAMA).count(call())
    assert raised.value.failure.kind is kind

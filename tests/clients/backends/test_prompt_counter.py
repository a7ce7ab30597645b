"""Does a backend count the prompt of a chat as its server documents it?"""

import json
from copy import replace
from typing import Any, Literal

import httpx
import pytest
from pydantic import BaseModel, ConfigDict

from clients.backends.chat_request import request_body
from clients.backends.port import BackendCall, BackendError
from clients.backends.prompt_counter import HttpPromptCounter
from domain.content.tools import FunctionTool, ToolConfig
from domain.fleet.failure_classes import FailureKind
from domain.fleet.request_forms import TokenCounting
from tests.clients.backends.model_server import ChunkedBody, backend_at, call
from tests.fakes.backends import http_backend

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
        return HttpPromptCounter(http_backend(backend_at("http://server/v1"), http, silence_s=1), counting)


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


class VllmFunction(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class VllmTool(BaseModel):
    model_config = ConfigDict(strict=True)
    type: Literal["function"]
    function: VllmFunction


class VllmTokenizeRequest(BaseModel):
    """The fields of vLLM's `TokenizeChatRequest` that a chat has; vLLM passes over unknown ones."""

    model_config = ConfigDict(strict=True, extra="allow")
    model: str | None = None
    messages: list[dict[str, Any]]
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    add_special_tokens: bool = False
    tools: list[VllmTool] | None = None


@pytest.mark.parametrize("asked", [call(), replace(call(), tools=ToolConfig(functions=(FunctionTool(name="find"),)))])
async def test_vllm_counts_what_it_would_read_for_the_chat(asked: BackendCall) -> None:
    """Of a chat vLLM takes `messages` and `tools`; its defaults are then those of the chat itself."""
    tokens = [1, 22, 333]
    server = Server({"count": len(tokens), "max_model_len": 8192, "tokens": tokens, "token_strs": None})
    assert await server.counter(VLLM).count(asked) == len(tokens)
    [request] = server.seen
    read = VllmTokenizeRequest.model_validate_json(request.content)
    body = request_body(backend_at("http://server/v1"), asked)
    assert read.messages == body["messages"]
    assert [tool.function.name for tool in read.tools or ()] == [
        each["function"]["name"] for each in body.get("tools", ())
    ]
    assert (read.add_generation_prompt, read.continue_final_message, read.add_special_tokens) == (True, False, False)
    assert read.model == body["model"]


async def test_vllms_own_error_is_a_failure_without_a_count() -> None:
    error = {"error": {"message": "The model `m` does not exist.", "type": "NotFoundError", "param": None, "code": 404}}
    with pytest.raises(BackendError) as raised:
        await Server(error, status=404).counter(VLLM).count(call())
    assert raised.value.failure.status == 404

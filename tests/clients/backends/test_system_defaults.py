"""Does the client of a backend do what the table of its system says?"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from aiohttp import web

from clients.backends.credentials import HttpCall
from clients.backends.port import AnswerEnd, BackendError, TextPiece
from domain.config.fleet_toml import fleet_from_toml
from domain.fleet.catalog import Backend, OutputLimit
from domain.fleet.failure_classes import FailureClass, FailureKind, diagnose
from domain.fleet.request_forms import Probe, ProbeBody, ProbeMethod
from domain.turns.response import Sampling
from tests.checks import every
from tests.clients.backends.model_server import all_pieces, backend_at, call
from tests.domain.fleets import PRICES, SHIPPED_SYSTEMS
from tests.fakes.backends import http_backend
from tests.fakes.servers.web_servers import handled_by, served

USAGE = {"prompt_tokens": 5, "completion_tokens": 2}
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": USAGE,
}
TOOL_CALLS = [
    {"id": f"call_{number}", "type": "function", "function": {"name": "look", "arguments": f'{{"n":{number}}}'}}
    for number in (1, 2)
]
CHUNKS: tuple[dict[str, Any], ...] = (
    {"choices": [{"index": 0, "delta": {"content": "Hel"}}]},
    {"choices": [{"index": 0, "delta": {"content": "lo."}, "finish_reason": "stop"}]},
    {"choices": [], "usage": USAGE},
)

type Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Server:
    """Records its requests; `answer` gives what it says to each."""

    answer: Answer
    url: str = ""
    requests: list[tuple[str, str, dict[str, str], Any]] = field(
        default_factory=list[tuple[str, str, dict[str, str], Any]]
    )

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.path_qs, headers, json.loads(body) if body else None))
        return await self.answer(request)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncGenerator[Server]:
    server = Server(answer)
    async with served(handled_by(server.serve)) as url:
        server.url = f"{url}/v1"
        yield server


def json_answer(body: Any, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return answer


def answering(status: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()})

    return answer


async def pieces(backend: Backend, **changes: Any) -> Sequence[TextPiece | AnswerEnd]:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await all_pieces(http_backend(backend, http, silence_s=5), replace(call(), **changes))


async def failure_of(backend: Backend, credentials: Any = None) -> Any:
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(BackendError) as caught:
            await all_pieces(http_backend(backend, http, silence_s=5, credentials=credentials), call())
    return caught.value.failure


async def probe(backend: Backend) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        await http_backend(backend, http, silence_s=5).probe()


def text_of(answer: Sequence[TextPiece | AnswerEnd]) -> str:
    return "".join(piece.text for piece in answer if isinstance(piece, TextPiece))


async def test_the_names_of_the_output_limit_and_the_accepted_parameters_come_from_the_backend() -> None:
    async with serving(json_answer(WHOLE)) as server:
        backend = replace(
            backend_at(server.url), streams=False, sampling=(), output_limit=OutputLimit.MAX_COMPLETION_TOKENS
        )
        await pieces(backend, sampling=Sampling(temperature=0.5, top_p=0.9))
        await pieces(replace(backend, sampling=backend_at("").sampling), sampling=Sampling(temperature=0.5))
    (*_, without), (*_, with_temperature) = server.requests
    assert without["max_completion_tokens"] == call().max_output_tokens
    assert {"max_tokens", "temperature", "top_p", "stream_options"} & without.keys() == set()
    assert with_temperature["temperature"] == 0.5


async def test_an_empty_model_name_and_extra_headers_are_sent() -> None:
    async with serving(json_answer(WHOLE)) as server:
        await pieces(replace(backend_at(server.url), streams=False, served_model="", headers={"modal-key": "wk-1"}))
    ((_, _, headers, body),) = server.requests
    assert body["model"] == ""
    assert headers["modal-key"] == "wk-1"


async def test_a_whole_json_answer_is_one_piece_where_the_backend_does_not_stream() -> None:
    async with serving(json_answer(WHOLE)) as server:
        answer = await pieces(replace(backend_at(server.url), streams=False))
    assert [piece.text for piece in answer[:-1] if isinstance(piece, TextPiece)] == ["Hello."]
    assert isinstance(answer[-1], AnswerEnd)
    assert answer[-1].usage is not None
    assert (answer[-1].usage.input_tokens, answer[-1].usage.output_tokens) == (5, 2)
    assert server.requests[0][3]["stream"] is False


async def test_a_whole_json_answer_can_call_functions_in_parallel() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": TOOL_CALLS}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    async with serving(json_answer(body)) as server:
        (end,) = await pieces(replace(backend_at(server.url), streams=False))
    assert isinstance(end, AnswerEnd)
    assert [(each.call_id, each.arguments) for each in end.calls] == [("call_1", '{"n":1}'), ("call_2", '{"n":2}')]


async def test_a_whole_json_answer_is_a_failure_where_the_backend_streams() -> None:
    async with serving(json_answer(WHOLE)) as server:
        assert (await failure_of(backend_at(server.url))).kind is FailureKind.WRONG_CONTENT_TYPE


@pytest.mark.parametrize(
    ("body", "kind"), [("{", FailureKind.BAD_FRAME), ("", FailureKind.TRUNCATED), ("[]", FailureKind.BAD_FRAME)]
)
async def test_a_json_answer_that_is_no_answer_is_a_failure(body: str, kind: FailureKind) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    async with serving(answer) as server:
        assert (await failure_of(replace(backend_at(server.url), streams=False))).kind is kind


async def test_an_answer_of_json_lines_is_read_line_by_line() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="\n".join(json.dumps(chunk) for chunk in CHUNKS), content_type="application/jsonlines")

    async with serving(answer) as server:
        assert text_of(await pieces(backend_at(server.url))) == "Hello."


def modal(hops: int, *, to: str | None = None) -> Answer:
    """Answer 303 a number of times; `to` is another origin."""

    async def answer(request: web.Request) -> web.Response:
        hop = int(request.query.get("hop", "0"))
        if hop < hops:
            return web.Response(status=303, headers={"location": to or f"/v1/result?hop={hop + 1}"})
        return web.Response(
            text="".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS), content_type="text/event-stream"
        )

    return answer


async def test_a_303_is_read_with_get_and_never_posted_again() -> None:
    async with serving(modal(3)) as server:
        answer = await pieces(replace(backend_at(server.url), headers={"modal-key": "wk-1"}))
    assert text_of(answer) == "Hello."
    assert [request[0] for request in server.requests] == ["POST", "GET", "GET", "GET"]
    assert every(request[2]["modal-key"] == "wk-1" for request in server.requests)
    assert [request[3] is None for request in server.requests] == [False, True, True, True]


async def test_a_303_is_followed_twenty_times_at_most() -> None:
    async with serving(modal(100)) as server:
        failure = await failure_of(backend_at(server.url))
    assert (failure.status, len(server.requests)) == (303, 21)
    assert diagnose(failure, ()).failure_class is FailureClass.BROKEN


async def test_a_303_to_another_origin_is_refused_and_gets_no_credentials() -> None:
    async with serving(json_answer(WHOLE)) as other, serving(modal(1, to=f"{other.url}/result")) as server:
        failure = await failure_of(replace(backend_at(server.url), headers={"modal-key": "wk-1"}))
    assert failure.status == 303
    assert other.requests == []


ONE_TOKEN = Probe(method=ProbeMethod.POST, path="chat/completions", body=ProbeBody.CHAT)


async def test_a_probe_can_be_a_chat_of_one_token() -> None:
    async with serving(json_answer(WHOLE)) as server:
        await probe(replace(backend_at(server.url), probe=ONE_TOKEN, headers={"modal-key": "wk-1"}))
    ((method, path, headers, body),) = server.requests
    assert (method, path, headers["modal-key"]) == ("POST", "/v1/chat/completions", "wk-1")
    assert (body["max_tokens"], body["stream"], len(body["messages"])) == (1, False, 1)


async def test_the_path_of_a_probe_can_begin_at_the_origin() -> None:
    async with serving(answering(200)) as server:
        await probe(replace(backend_at(server.url), probe=Probe(method=ProbeMethod.POST, path="/wake_up")))
    assert server.requests[0][:2] == ("POST", "/wake_up")


@pytest.mark.parametrize(
    ("status", "kind", "failure_class"),
    [
        (503, FailureKind.PROBE_STARTING, FailureClass.COLD),
        (410, FailureKind.PROBE_REFUSED, FailureClass.BROKEN),
        (404, FailureKind.STATUS, FailureClass.BROKEN),
        (204, FailureKind.WRONG_CONTENT_TYPE, FailureClass.BROKEN),
    ],
)
async def test_the_status_of_a_probe_means_what_the_table_says(
    status: int, kind: FailureKind, failure_class: FailureClass
) -> None:
    async with serving(answering(status)) as server:
        backend = replace(
            backend_at(server.url), probe=Probe(path="/health", up=(200,), starting=(503,), refused=(410,))
        )
        with pytest.raises(BackendError) as caught:
            await probe(backend)
    assert caught.value.failure.kind is kind
    assert diagnose(caught.value.failure, ()).failure_class is failure_class


@pytest.mark.parametrize(
    "system", ["bedrock", "sagemaker", "vertex", "vertex-managed", "llama.cpp", "ollama", "triton", "kserve"]
)
async def test_a_stand_in_without_a_list_of_models_does_not_make_its_backend_ready(system: str) -> None:
    """The stand-in answers every path but that of the chat by itself, in whatever way."""

    async def answer(request: web.Request) -> web.Response:
        is_chat = request.path.endswith("/chat/completions")
        return web.Response(status=503 if is_chat else 200)

    async with serving(answer) as server:
        backend = shipped(system, server.url)
        with pytest.raises(BackendError):
            await probe(backend)


def shipped(system: str, url: str) -> Backend:
    text = f"""
        [models.small]
        context_tokens = 8192
        tier = 1
        [backends.one]
        model = "small"
        system = "{system}"
        url = "{url}"
        price = "api"
        auth = {{ kind = "none" }}
        limits = {{ context_tokens = 4096, max_output_tokens = 1024, concurrency = 4, request_timeout_s = 100 }}
        speed = {{ prefill_tokens_s = 1000, decode_tokens_s = 50 }}
    """
    return fleet_from_toml(text, {}, PRICES, SHIPPED_SYSTEMS).backends["one"]


class Recording:
    """Counts the rejections that the client reports."""

    def __init__(self) -> None:
        self.rejections = 0
        self.calls: list[HttpCall] = []

    async def header(self, backend: Backend, call: HttpCall) -> dict[str, str]:
        self.calls.append(call)
        return {"authorization": "Bearer one"}

    def rejected(self, backend: Backend) -> None:
        self.rejections += 1


@pytest.mark.parametrize(
    ("status", "error", "rejections"),
    [
        (401, "", 1),
        (403, "ExpiredTokenException", 1),
        (403, "InvalidSignatureException:http://internal.amazon.com/coral/com.amazon.coral.service/", 1),
        (403, "UnrecognizedClientException", 1),
        (403, "AccessDeniedException", 0),
        (403, "", 0),
        (400, "ExpiredTokenException", 0),
    ],
)
async def test_credentials_that_aws_calls_expired_are_dropped_and_those_without_a_grant_are_kept(
    status: int, error: str, rejections: int
) -> None:
    credentials = Recording()
    async with serving(answering(status, **({"x_amzn_errortype": error} if error else {}))) as server:
        await failure_of(backend_at(server.url), credentials)
    assert credentials.rejections == rejections


async def test_credentials_see_the_request_as_it_is_sent() -> None:
    credentials = Recording()
    async with serving(answering(503)) as server:
        await failure_of(backend_at(server.url), credentials)
    (sent,) = credentials.calls
    assert (sent.method, sent.url) == ("POST", f"{server.url}/chat/completions")
    assert json.loads(sent.body) == server.requests[0][3]

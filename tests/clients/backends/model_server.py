"""Which bytes, pauses and failures does a model server send in a test?"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import pytest
from aiohttp import web

from clients.backends.http_backend import HttpBackend
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.content.items import Item, Role
from domain.fleet.catalog import Backend, BackendLimits, ContinuationMode, Speed
from domain.fleet.failure_classes import Failure
from domain.money.prices import PriceSource, TokenPrice
from domain.turns.response import Sampling
from tests.fakes.backends import http_backend
from tests.fakes.servers.web_servers import served

NO_LINGER = struct.pack("ii", 1, 0)
RESET = object()
HANG = object()

type Act = bytes | float | object


@dataclass(slots=True)
class ModelServer:
    """Performs `acts` after its headers, and `before` ahead of them: bytes to send, seconds to wait, RESET or HANG."""

    acts: Sequence[Act] = ()
    before: Sequence[Act] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    request_headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    client_ports: list[int] = field(default_factory=list[int])
    request_received: asyncio.Event = field(default_factory=asyncio.Event)
    client_closed: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.exchange(request)
        except (asyncio.CancelledError, ConnectionError):
            self.client_closed.set()
            raise

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.request_received.set()
        self.request_headers.append(dict(request.headers))
        self.client_ports.append(request.transport.get_extra_info("peername")[1] if request.transport else 0)
        response = web.StreamResponse(status=self.status, headers=self.headers)
        for act in self.before:
            await perform(act, request, response)
        await response.prepare(request)
        for act in self.acts:
            await perform(act, request, response)
        return response


async def perform(act: Act, request: web.Request, response: web.StreamResponse) -> None:
    if isinstance(act, bytes):
        await response.write(act)
    elif isinstance(act, float):
        await asyncio.sleep(act)
    elif act is RESET:
        reset(request)
    else:
        await asyncio.Event().wait()


def reset(request: web.Request) -> None:
    if request.transport:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        request.transport.abort()


@asynccontextmanager
async def serving(server: ModelServer) -> AsyncGenerator[ModelServer]:
    application = web.Application()
    application.router.add_post("/v1/chat/completions", server.answer)
    async with served(application, cancels=True) as url:
        server.url = f"{url}/v1"
        yield server


FREE = TokenPrice(
    name="free",
    origin=PriceSource(source="a test", date="2026-11-01", region="nowhere"),
    input=Decimal(0),
    cached_input=Decimal(0),
    output=Decimal(0),
)


def backend_at(
    url: str, *, continues: ContinuationMode = ContinuationMode.NO, request_timeout_s: float = 5.0
) -> Backend:
    return Backend(
        name="main",
        model="model",
        system="test",
        url=url,
        served_model="served",
        price=FREE,
        limits=BackendLimits(
            context_tokens=4096, max_output_tokens=512, concurrency=4, request_timeout_s=request_timeout_s
        ),
        speed=Speed(prefill_tokens_s=1000, decode_tokens_s=50),
        continues=continues,
    )


def call(partial: str = "", **sampling: float) -> BackendCall:
    return BackendCall(
        instructions="Be brief.",
        items=(
            Item(id="1", role=Role.USER, text="hello"),
            Item(id="2", role=Role.ASSISTANT, text="hi"),
            Item(id="3", role=Role.DEVELOPER, text="answer in one word"),
            Item(id="4", role=Role.USER, text="who?"),
        ),
        sampling=Sampling(temperature=sampling.get("temperature"), top_p=sampling.get("top_p")),
        max_output_tokens=32,
        partial=partial,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


async def answer_of(
    backend: Backend, request: BackendCall | None = None, *, silence_s: float = 5.0
) -> list[TextPiece | AnswerEnd]:
    """Return all pieces that a backend answers over a socket."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await all_pieces(http_backend(backend, http, silence_s=silence_s), request or call())


async def all_pieces(client: HttpBackend, request: BackendCall) -> list[TextPiece | AnswerEnd]:
    async with client.stream(request) as pieces:
        return [piece async for piece in pieces]


class ChunkedBody(httpx.AsyncByteStream):
    """A body that arrives in the given chunks."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk


async def parsed(*chunks: bytes, backend: Backend | None = None) -> list[TextPiece | AnswerEnd]:
    """Return the pieces of a body that arrives in these chunks, without a socket."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=ChunkedBody(chunks))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        client = http_backend(backend or backend_at("http://model/v1"), http, silence_s=5)
        return await all_pieces(client, call())


async def failure_in(*chunks: bytes) -> Failure:
    """Return the failure that a body in these chunks leads to."""
    with pytest.raises(BackendError) as caught:
        await parsed(*chunks)
    return caught.value.failure


def end_of(pieces: Sequence[TextPiece | AnswerEnd]) -> AnswerEnd:
    assert isinstance(pieces[-1], AnswerEnd)
    return pieces[-1]


def frame(text: str | None = None, *, reason: str | None = None, **more: Any) -> bytes:
    """Return one frame as vLLM and llama.cpp send it, with characters beyond ASCII unescaped."""
    body = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}], **more}
    return line(body)


def line(body: Any) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def usage(input_tokens: int = 7, output_tokens: int = 2) -> bytes:
    return line({"choices": [], "usage": {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}})


def calls_frame(*parts: dict[str, Any], reason: str | None = None) -> bytes:
    """Return one frame with these parts of tool calls."""
    return line({"choices": [{"index": 0, "delta": {"tool_calls": list(parts)}, "finish_reason": reason}]})


DONE = b"data: [DONE]\n\n"


def text_of(pieces: Sequence[TextPiece | AnswerEnd]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))

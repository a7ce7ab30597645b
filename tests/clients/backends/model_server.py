"""How does a model's server behave on the wire when a test says what it sends?"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from aiohttp import web

from clients.backends.openai_backend import OpenAIBackend
from clients.backends.port import AnswerEnd, BackendCall, TextPiece
from domain.content.items import Item, Role
from domain.fleet.catalog import Backend, BackendLimits, ContinuationMode, Speed
from domain.money.prices import PriceSource, TokenPrice
from domain.turns.response import Sampling

NO_LINGER = struct.pack("ii", 1, 0)
RESET = object()
HANG = object()

type Act = bytes | float | object


@dataclass(slots=True)
class ModelServer:
    """Plays `acts` after its headers: bytes to send, seconds to wait, RESET or HANG; `before` is played before them."""

    acts: Sequence[Act] = ()
    before: Sequence[Act] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    seen: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    ports: list[int] = field(default_factory=list[int])
    came: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self.exchange(request)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.came.set()
        self.seen.append(dict(request.headers))
        self.ports.append(request.transport.get_extra_info("peername")[1] if request.transport else 0)
        response = web.StreamResponse(status=self.status, headers=self.headers)
        for act in self.before:
            await play(act, request, response)
        await response.prepare(request)
        for act in self.acts:
            await play(act, request, response)
        return response


async def play(act: Act, request: web.Request, response: web.StreamResponse) -> None:
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
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


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


async def asked(
    backend: Backend, given: BackendCall | None = None, *, silence_s: float = 5.0
) -> list[TextPiece | AnswerEnd]:
    """Return all that a backend answers."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await heard(OpenAIBackend(backend, http, silence_s=silence_s), given or call())


async def heard(client: OpenAIBackend, given: BackendCall) -> list[TextPiece | AnswerEnd]:
    async with client.stream(given) as pieces:
        return [piece async for piece in pieces]


def frame(text: str | None = None, *, reason: str | None = None, **more: Any) -> bytes:
    """Return one frame as vLLM and llama.cpp send it, with what is not ASCII as it is."""
    body = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}], **more}
    return line(body)


def line(body: Any) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def usage(asked_tokens: int = 7, said_tokens: int = 2) -> bytes:
    return line({"choices": [], "usage": {"prompt_tokens": asked_tokens, "completion_tokens": said_tokens}})


DONE = b"data: [DONE]\n\n"


def text_of(pieces: Sequence[TextPiece | AnswerEnd]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))

"""Which faults does a server show on the wire, before its answer or in the middle of it?"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from standins.scripted.chat_shapes import Frame, error

DRIP_SECONDS = 0.2
RETRY_AFTER_SECONDS = 1
NO_LINGER = struct.pack("ii", 1, 0)


async def close_connection(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.close()
    return web.Response()


async def throttle(_request: web.Request) -> web.Response:
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return web.json_response(error(429, "too many requests"), status=429, headers=headers)


async def break_down(_request: web.Request) -> web.Response:
    return web.json_response(error(500, "the model failed"), status=500)


async def unavailable(_request: web.Request) -> web.Response:
    return web.json_response(error(503, "the model is loading"), status=503)


async def hang(_request: web.Request) -> web.Response:
    await asyncio.Event().wait()
    return web.Response()


async def html_page(_request: web.Request) -> web.Response:
    return web.Response(
        text="<!doctype html><title>Sign in</title><p>Sign in to continue.</p>", content_type="text/html"
    )


FAULTS_BEFORE_ANSWER: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
    "refuse": close_connection,
    "429": throttle,
    "500": break_down,
    "503": unavailable,
    "hang-before": hang,
    "content-type": html_page,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An answer with its headers sent; the fault comes at the frame `cut`, `play` sends frames at their pace."""

    request: web.Request
    response: web.StreamResponse
    frames: list[Frame]
    cut: int
    play: Callable[[list[Frame]], Awaitable[None]]


def cut_at(frames: list[Frame], after: int | None) -> int:
    """Finds the first frame after `after` tokens, by default half of them; at least one frame comes before it."""
    last_token = frames[-1].tokens // 2 if after is None else after
    later = (index for index, frame in enumerate(frames) if frame.tokens > last_token)
    return max(1, next(later, len(frames) - 1))


async def hang_after(exchange: Exchange) -> None:
    await hang(exchange.request)


async def drip(exchange: Exchange) -> None:
    for byte in b"".join(frame.data for frame in exchange.frames):
        await exchange.response.write(bytes([byte]))
        await asyncio.sleep(DRIP_SECONDS)


async def stall(exchange: Exchange) -> None:
    await exchange.play(exchange.frames[: exchange.cut])
    await hang(exchange.request)


async def reset(exchange: Exchange) -> None:
    await exchange.play(exchange.frames[: exchange.cut])
    transport = exchange.request.transport
    if transport:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        transport.abort()


async def half_frame(exchange: Exchange) -> None:
    await exchange.play(exchange.frames[: exchange.cut])
    data = exchange.frames[exchange.cut].data
    await exchange.response.write(data[: len(data) // 2])
    await exchange.response.write_eof()


FAULTS_DURING_ANSWER: dict[str, Callable[[Exchange], Awaitable[None]]] = {
    "hang-after": hang_after,
    "drip": drip,
    "stall": stall,
    "reset": reset,
    "half-frame": half_frame,
}

"""Are clients given up that send their headers or their body too slowly?"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from devhost.http.listener import listen
from devhost.http.slow_clients import BodyTooLateError, SlowClients, timely_chunks

PATIENCE_S = 0.3
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
type Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(request: web.Request) -> web.Response:
    try:
        body = b"".join([chunk async for chunk in timely_chunks(request, PATIENCE_S)])
    except BodyTooLateError:
        return web.Response(status=408)
    return web.Response(body=body)


@asynccontextmanager
async def connected() -> AsyncGenerator[Connection]:
    """Serve with little patience, and connect."""
    application, slow = web.Application(), SlowClients(PATIENCE_S)
    application.router.add_route("*", "/", echo)
    slow.add_to(application)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    watching = asyncio.create_task(slow.watch(runner.server))
    listener = listen(0)
    await web.SockSite(runner, listener).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
    try:
        yield reader, writer
    finally:
        writer.close()
        watching.cancel()
        await runner.cleanup()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send one byte every 50 ms."""
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes the connection, with or without the bytes that it did not read."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_headers_that_drip_are_given_up() -> None:
    async with asyncio.timeout(60), connected() as (reader, writer):
        dripping = asyncio.create_task(drip(writer, HEAD))
        assert await rest_of(reader) == b""
        dripping.cancel()


async def test_a_client_that_says_nothing_is_given_up() -> None:
    async with asyncio.timeout(60), connected() as (reader, _):
        assert await reader.read() == b""


async def test_a_body_that_drips_is_a_408() -> None:
    async with asyncio.timeout(60), connected() as (reader, writer):
        writer.write(HEAD)
        dripping = asyncio.create_task(drip(writer, b"x" * 99))
        assert b"408" in await reader.readline()
        dripping.cancel()


async def test_a_connection_that_was_used_stays_open() -> None:
    async with asyncio.timeout(60), connected() as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"x" * 100)
            assert b"200" in await reader.readline()
            await reader.readuntil(b"x" * 100)
            await asyncio.sleep(3 * PATIENCE_S)

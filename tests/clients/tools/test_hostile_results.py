"""Does no answer of a server of tools take more memory than its bound, however large, deep or endless it is?"""

import asyncio
import contextlib
import gc
import json
import logging
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from typing import Any

import pytest

from clients.sources.port import MAX_ANSWER_BYTES
from clients.tools.factory import ToolClients, build_tools
from clients.tools.port import ToolError, ToolRequest
from domain.config.tools_toml import tools_from_toml
from domain.tools.catalog import ToolServer
from tests.clients.tools.mcp.servers import FILE as MCP_FILE
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.listening import listening
from tests.fakes.tools import FILE as HTTP_FILE
from tests.fakes.worlds import OWNER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PIECE = b"x" * 65_536
HUGE = 100_000_000
PEAK = 40 * MAX_ANSWER_BYTES
"""What one answer may take while it is read: a megabyte of JSON can become some 30 of lists."""

KEPT = MAX_ANSWER_BYTES
"""What may be left of hostile answers after a plain one: the MCP library keeps the last message of a session."""

DEEP = 200_000

type Body = Iterable[bytes]


def huge(_: Any) -> Body:
    return (PIECE for _ in range(HUGE // len(PIECE)))


def plain(asked: Any) -> Body:
    return result(asked, b"{}")


def result(asked: Any, content: bytes) -> Body:
    """Yield a result of JSON-RPC with this structured content."""
    yield b'{"jsonrpc":"2.0","id":%s,"result":{"content":[],"structuredContent":' % json.dumps(asked).encode()
    yield content + b"}}"


def deep(asked: Any) -> Body:
    return result(asked, b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}")


def wide(asked: Any) -> Body:
    return result(asked, b'{"a":[' + b"[]," * 300_000 + b"[]]}")


def long_names(asked: Any) -> Body:
    return result(asked, b'{"' + b"n" * 900_000 + b'":1}')


def comments(_: Any) -> Body:
    while True:
        yield b": still here\n\n" * 1000


def notices(_: Any) -> Body:
    told = {"level": "info", "data": "x" * 500}
    notice = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": told}).encode()
    while True:
        yield b"event: message\ndata: " + notice + b"\n\n"


def one_event(_: Any) -> Body:
    yield b"event: message\n"
    while True:
        yield b"data: " + PIECE + b"\n"


JSON, EVENTS = b"application/json", b"text/event-stream"
BODIES: dict[str, tuple[bytes, Callable[[Any], Body]]] = {
    "huge": (JSON, huge),
    "deep": (JSON, deep),
    "wide": (JSON, wide),
    "long names": (JSON, long_names),
    "endless comments": (EVENTS, comments),
    "endless notices": (EVENTS, notices),
    "an endless event": (EVENTS, one_event),
}


class Hostile:
    """Answers requests of a method with a body; passes all else on to `inner`, where there is one."""

    def __init__(self, inner: Any = None, method: str = "tools/call") -> None:
        self.inner = inner
        self.method = method
        self.kind, self.body = BODIES["huge"]
        self.sent = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await (self.inner or lifespan)(scope, receive, send)
            return
        message = await receive()
        asked: Any = json.loads(message.get("body") or b"{}")
        if self.inner and (asked.get("method") != self.method or self.body is plain):
            await self.inner(scope, again(message, receive), send)
        else:
            gone = asyncio.create_task(disconnected(receive))
            await self.answer(asked, send, gone)
            gone.cancel()

    async def answer(self, asked: Any, send: Any, gone: asyncio.Task[None]) -> None:
        """Send until the caller is gone: the web server takes what is sent later, and drops it."""
        headers = [(b"content-type", self.kind)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in self.body(asked.get("id")):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self.sent += len(piece)
            await asyncio.sleep(0)
            if gone.done() or self.sent > HUGE:
                break
        await send({"type": "http.response.body", "body": b""})


async def disconnected(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def lifespan(_scope: Any, receive: Any, send: Any) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


def again(message: Any, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """Return what gives a message that was read already, and then the others."""
    messages = [message]

    async def given() -> Any:
        return messages.pop() if messages else await receive()

    return given


@pytest.fixture(autouse=True)
def no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep no log of the library: pytest would keep its errors, and with them the frames that hold the answers."""
    caplog.set_level(logging.CRITICAL, "mcp")


@contextlib.asynccontextmanager
async def served(app: Hostile, file: str) -> AsyncGenerator[tuple[ToolClients, ToolServer]]:
    tools = build_tools(FakeClock(), loopback=True, client_id=None)
    async with listening(app) as url:
        server = tools_from_toml(file.replace("http://127.0.0.1:1", url), {}, on_azure=False).known["shop"]
        try:
            yield tools, server
        finally:
            await tools.close()


@contextlib.contextmanager
def traced() -> Generator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def lookup(server: ToolServer) -> ToolRequest:
    tool = server.tools["find_order"]
    return ToolRequest(server=server, tool=tool, arguments={"number": "A-1"}, key="mcp_1", owner=OWNER)


async def called(tools: ToolClients, server: ToolServer) -> None:
    with contextlib.suppress(ToolError):
        await tools.call(lookup(server))


async def assert_bounded(app: Hostile, file: str, name: str) -> None:
    app.kind, app.body = JSON, plain
    async with served(app, file) as (tools, server):
        await called(tools, server)
        app.kind, app.body = BODIES[name]
        with traced():
            for _ in range(2):
                await called(tools, server)
            _, peak = tracemalloc.get_traced_memory()
            hostile, app.kind, app.body = app.sent, JSON, plain
            assert (await tools.call(lookup(server))).is_success
            gc.collect()
            left, _ = tracemalloc.get_traced_memory()
    assert peak < PEAK, f"{peak:,} bytes"
    assert left < KEPT, f"{left:,} bytes"
    assert hostile < HUGE / 2, "an answer was read to its end"


@pytest.mark.parametrize("name", BODIES)
async def test_an_answer_over_http_takes_no_more_than_its_bound(name: str) -> None:
    await assert_bounded(Hostile(), HTTP_FILE, name)


@pytest.mark.parametrize(("name", "era"), [*((each, "new") for each in BODIES), ("huge", "old"), ("wide", "old")])
async def test_an_answer_over_mcp_takes_no_more_than_its_bound(name: str, era: str) -> None:
    from standins.mcp_tools.server import McpShop  # noqa: PLC0415 - the SDK takes half a second to import

    shop = McpShop(is_old=era == "old")
    await assert_bounded(Hostile(shop.application()), MCP_FILE.replace("{url}", "http://127.0.0.1:1"), name)


@pytest.mark.parametrize("name", ["huge", "wide", "long names", "an endless event"])
async def test_a_list_of_tools_takes_no_more_than_its_bound(name: str) -> None:
    from standins.mcp_tools.server import McpShop  # noqa: PLC0415 - the SDK takes half a second to import

    app = Hostile(McpShop().application(), "tools/list")
    app.kind, app.body = BODIES[name]
    async with served(app, MCP_FILE.replace("{url}", "http://127.0.0.1:1")) as (tools, server):
        with traced():
            listing = await tools.listing(server)
            _, peak = tracemalloc.get_traced_memory()
        assert (listing.tools, bool(listing.problem)) == ((), True)
    assert peak < PEAK, f"{peak:,} bytes"
    assert app.sent < HUGE / 2, "the answer was read to its end"

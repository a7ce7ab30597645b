"""Which requests of the MCP library leave the process, and to which address?

It uses `httpx2`, so its transport is one place to hold it to the rules of egress: every request goes to an address that
was checked for it, is a POST, follows no redirect, and a call of a tool is sent once. The library sets no limits of
time, and waits for a notification before it sends anything else: all but calls end here. The transport raises nothing,
because the library would end its whole session for it; the exchange of the request keeps what went wrong.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, cast

import httpx2

from clients.plain_answers import PLAIN
from clients.sources.egress import NotConnectedError, PinnedAddress, PinnedClient
from clients.sources.port import MAX_ANSWER_BYTES
from clients.tls import tls_context
from clients.tools.mcp.exchange import McpExchange, RequestEnd, current_exchange
from clients.tools.port import CallFailure, ToolError
from domain.tools.catalog import ToolServer

type Credentials = Callable[[], Awaitable[Mapping[str, str]]]

CALL: Final = "tools/call"
CONNECT_S: Final = 10.0
REQUEST_S: Final = 10.0
NOTE_S: Final = 3.0
"""How long a request that is no call of a tool may last, and a message that gets no answer."""

NO_STREAM: Final = 405
NOT_FORWARDED: Final = 502
ERROR_LIMIT: Final = 2000
"""How many characters of an error's body are kept."""

NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.InvalidURL)
BROKEN = (httpx2.HTTPError, httpx2.StreamError, OSError)
KEPT_HEADERS: Final = ("content-type", "mcp-session-id")
DROPPED_HEADERS: Final = frozenset({"host", "accept-encoding", "content-length", "connection"})


class EgressTransport(httpx2.AsyncBaseTransport):
    """Sends the requests of one session to its server. No connection is used twice, as for all tools."""

    def __init__(self, server: ToolServer, pinned: PinnedClient, credentials: Credentials) -> None:
        self.server = server
        self.pinned = pinned
        self.credentials = credentials
        limits = httpx2.Limits(max_keepalive_connections=0)
        self.inner = httpx2.AsyncHTTPTransport(limits=limits, trust_env=False, verify=tls_context())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = current_exchange.get() or McpExchange()
        if request.method != "POST":
            return httpx2.Response(NO_STREAM)
        body = parsed(await request.aread())
        if body.get("method") == CALL and not exchange.take_call():
            return httpx2.Response(NOT_FORWARDED)
        noted = noted_exchange(body, exchange)
        try:
            response = await self.sent(request, noted)
        except ToolError as problem:
            return not_forwarded(noted, problem.failure, str(problem))
        return await received(response, noted)

    async def sent(self, request: httpx2.Request, exchange: McpExchange) -> httpx2.Response:
        """Send a request to the checked address of the server; raises ToolError."""
        try:
            async with exchange.end.held():
                pin = await self.pinned.pin(self.server)
                headers = {**exchange.headers, **await self.credentials()}
                return await self.inner.handle_async_request(self.outgoing(request, pin, headers))
        except NotConnectedError as problem:
            raise ToolError(CallFailure.NOT_SENT, f"The server was not called: {problem}.") from None
        except NOT_CONNECTED as problem:
            raise ToolError(CallFailure.NOT_SENT, f"The server was not called: {named(problem)}.") from None
        except BROKEN as problem:
            raise ToolError(CallFailure.NO_ANSWER, f"The server gave no usable answer: {named(problem)}.") from None

    def outgoing(self, request: httpx2.Request, pin: PinnedAddress, headers: Mapping[str, str]) -> httpx2.Request:
        """Return the request to the checked address, with the credentials of the file."""
        kept = {name: value for name, value in request.headers.items() if name.lower() not in DROPPED_HEADERS}
        return httpx2.Request(
            "POST",
            f"{pin.origin}{self.server.path}",
            headers={**kept, **PLAIN, **headers, "host": pin.authority},
            content=request.content,
            extensions={"sni_hostname": pin.host, "timeout": {"connect": CONNECT_S}},
        )

    async def aclose(self) -> None:
        await self.inner.aclose()


def noted_exchange(body: Mapping[str, Any], exchange: McpExchange) -> McpExchange:
    """Return the exchange that keeps what comes of a message.

    A notification, or our answer to a request of the server, is sent in the exchange of a call and is not that call.
    """
    is_request = "id" in body and "method" in body
    if not is_request:
        return McpExchange(headers=exchange.headers, end=RequestEnd(within_s=NOTE_S))
    if body["method"] != CALL:
        exchange.end = RequestEnd(within_s=REQUEST_S)
    return exchange


def parsed(content: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}


def named(problem: Exception) -> str:
    if isinstance(problem, TimeoutError):
        return "it did not answer in time"
    is_reached = not isinstance(problem, NOT_CONNECTED)
    return f"{'its answer broke off' if is_reached else 'it cannot be reached'} ({type(problem).__name__})"


def not_forwarded(exchange: McpExchange, failure: CallFailure, reason: str) -> httpx2.Response:
    exchange.fail(failure, reason)
    return httpx2.Response(NOT_FORWARDED)


async def received(response: httpx2.Response, exchange: McpExchange) -> httpx2.Response:
    """Return an answer for the library: an event stream as it comes, any other one as a whole."""
    headers = {name: value for name in KEPT_HEADERS if (value := response.headers.get(name, "")) and value.isascii()}
    body = BoundedStream(response, exchange)
    exchange.status = response.status_code
    if response.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        await response.aclose()
        return not_forwarded(exchange, CallFailure.NO_ANSWER, "The server gave no usable answer: it is compressed.")
    if response.is_success and headers.get("content-type", "").lower().startswith("text/event-stream"):
        return httpx2.Response(response.status_code, headers=headers, stream=body)
    try:
        content = b"".join([chunk async for chunk in body])
    finally:
        await response.aclose()
    if not response.is_success:
        exchange.text = content.decode(errors="replace")[:ERROR_LIMIT]
        exchange.is_protocol_error = isinstance(parsed(content).get("error"), dict)
    if response.is_redirect:
        return httpx2.Response(NOT_FORWARDED)
    return httpx2.Response(response.status_code, headers=headers, content=content)


class BoundedStream(httpx2.AsyncByteStream):
    """A body of at most `MAX_ANSWER_BYTES`. A longer or broken one ends early, and its exchange has failed."""

    def __init__(self, response: httpx2.Response, exchange: McpExchange) -> None:
        self.response = response
        self.exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, chunks = 0, self.response.aiter_raw()
        try:
            while chunk := await self.next_chunk(chunks):
                size += len(chunk)
                if size > MAX_ANSWER_BYTES:
                    self.fail(f"its answer has more than {MAX_ANSWER_BYTES} bytes")
                    return
                yield chunk
        except BROKEN as problem:
            self.fail(named(problem))

    async def next_chunk(self, chunks: AsyncIterator[bytes]) -> bytes:
        """Return the next bytes; none at the end of the body."""
        async with self.exchange.end.held():
            async for chunk in chunks:
                if chunk:
                    return chunk
        return b""

    def fail(self, reason: str) -> None:
        self.exchange.fail(CallFailure.NO_ANSWER, f"The server gave no usable answer: {reason}.")

    async def aclose(self) -> None:
        await self.response.aclose()

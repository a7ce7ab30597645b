"""How is a request forwarded to the app's own HTTP server, and its response to the client, unchanged?"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, TraceConfig, web
from multidict import CIMultiDict
from yarl import URL

from devhost.early_answers import half_open_socket
from devhost.http.slow_clients import BodyTooLateError, timely_chunks

BODY_LIMIT = 100 * 1024 * 1024
BUFFER_LIMIT = 64 * 1024
HEADER_LIMIT = 32 * 1024
KEEP_ALIVE_S = 2.0
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "expect",
    }
)
CLIENT_HEADERS = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class BodyTooLargeError(Exception):
    """The request body exceeds the limit of this host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamTarget:
    """The app's server and the invocation that waits for the forwarded request.

    `sent` is called when the request headers have been sent: from then on the function may wait for the request.
    """

    uri: str
    invocation: str
    sent: Callable[[], None]


async def on_headers_sent(*signal: Any) -> None:
    """`signal` holds aiohttp's session, context and details."""
    signal[1].trace_request_ctx()


def upstream_session(*, keeps: bool = True) -> ClientSession:
    """Closes idle connections before the app's server does, which closes them after 5 s.

    Without `keeps`, each request has a connection of its own. The server also closes a connection after a function
    raised, without saying so in its answer. A request that meets this is lost: only one without effect can be repeated.
    """
    tracing = TraceConfig()
    tracing.on_request_headers_sent.append(on_headers_sent)
    return ClientSession(
        connector=TCPConnector(
            limit=0,
            keepalive_timeout=KEEP_ALIVE_S if keeps else None,
            force_close=not keeps,
            socket_factory=half_open_socket,
        ),
        timeout=ClientTimeout(total=None),
        auto_decompress=False,
        skip_auto_headers=CLIENT_HEADERS,
        max_line_size=HEADER_LIMIT,
        max_field_size=HEADER_LIMIT,
        trace_configs=[tracing],
    )


def is_repeatable(request: web.Request) -> bool:
    """Whether aiohttp sends the request again when a kept connection turns out to be closed."""
    return request.method in {"GET", "HEAD", "OPTIONS"} and not request.body_exists


def end_to_end_headers(headers: "CIMultiDict[str]") -> "CIMultiDict[str]":
    """Removes the headers that concern one connection only."""
    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    dropped = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def request_headers(request: web.Request, invocation: str) -> "CIMultiDict[str]":
    headers = end_to_end_headers(CIMultiDict(request.headers))
    headers.popall("Host", None)
    headers["x-ms-invocation-id"] = invocation
    headers["X-Forwarded-Host"] = request.host
    headers["X-Forwarded-Proto"] = request.scheme
    if request.remote:
        headers.add("X-Forwarded-For", request.remote)
    return headers


def check_length(request: web.Request) -> None:
    """Raises BodyTooLargeError."""
    if (request.content_length or 0) > BODY_LIMIT:
        raise BodyTooLargeError


class Upload:
    """Streams the body of a request, and stops when it exceeds the limit."""

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.received = 0
        self.is_late = False

    @property
    def is_too_large(self) -> bool:
        return self.received > BODY_LIMIT

    def raise_problem(self) -> None:
        """Raises BodyTooLargeError or BodyTooLateError if that is why the upload ended."""
        if self.is_too_large:
            raise BodyTooLargeError
        if self.is_late:
            raise BodyTooLateError

    async def chunks(self) -> AsyncIterator[bytes]:
        """The empty first chunk sends the headers at once: the app may answer without the body."""
        yield b""
        try:
            async for chunk in timely_chunks(self.request):
                self.received += len(chunk)
                if self.is_too_large:
                    raise BodyTooLargeError
                yield chunk
        except BodyTooLateError:
            self.is_late = True
            raise


async def open_upstream(
    session: ClientSession, request: web.Request, target: UpstreamTarget, upload: Upload
) -> ClientResponse:
    """Raises ClientError if the app's server fails before its first byte, or if the upload is too large."""
    return await session.request(
        request.method,
        URL(target.uri + request.raw_path, encoded=True),
        headers=request_headers(request, target.invocation),
        data=upload.chunks() if request.body_exists else None,
        allow_redirects=False,
        trace_request_ctx=target.sent,
    )


def has_no_body(request: web.Request, upstream: ClientResponse) -> bool:
    return request.method == "HEAD" or upstream.status in {204, 304} or upstream.content_length == 0


async def relay(request: web.Request, upstream: ClientResponse) -> web.StreamResponse:
    """Sends the response to the client. A failure in the middle aborts the connection instead of ending it cleanly."""
    headers = end_to_end_headers(CIMultiDict(upstream.headers))
    length = upstream.content_length
    if has_no_body(request, upstream) or (length is not None and length <= BUFFER_LIMIT):
        body = await upstream.read()
        return buffered_response(request, upstream, headers, body)
    return await streamed_response(request, upstream, headers)


def buffered_response(
    request: web.Request, upstream: ClientResponse, headers: "CIMultiDict[str]", body: bytes
) -> web.StreamResponse:
    if request.method == "HEAD":
        return web.Response(status=upstream.status, reason=upstream.reason, headers=headers)
    headers.popall("Content-Length", None)
    return web.Response(status=upstream.status, reason=upstream.reason, headers=headers, body=body)


async def streamed_response(
    request: web.Request, upstream: ClientResponse, headers: "CIMultiDict[str]"
) -> web.StreamResponse:
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
    except ClientError:
        abort(request)
        raise
    await response.write_eof()
    return response


def abort(request: web.Request) -> None:
    transport = request.transport
    if isinstance(transport, asyncio.Transport):
        transport.abort()

"""Which requests of the MCP library leave the process, with which headers, and what is kept of their answers?"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, override

import httpx2
import pytest

from clients.sources.egress import PinnedClient
from clients.sources.port import MAX_ANSWER_BYTES
from clients.tools.mcp.exchange import McpExchange, current_exchange
from clients.tools.mcp.transport import ERROR_LIMIT, NO_STREAM, NOT_FORWARDED, EgressTransport
from clients.tools.port import CallFailure, ToolError
from domain.config.tools_toml import tools_from_toml
from tests.clients.tools.mcp.servers import FILE
from tests.fakes.worlds import NO_NETWORK

SERVER = tools_from_toml(FILE.format(url="https://shop.example"), {}, on_azure=False).known["shop"]
LIST, NOTE, CALL = (
    {"id": 1, "method": "tools/list"},
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/call"},
)
STREAM = {"content-type": "text/event-stream"}


class Chunks(httpx2.AsyncByteStream):
    """A body that arrives in chunks, and breaks off where one of them is an error."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self.chunks = chunks
        self.is_closed = False

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    @override
    async def aclose(self) -> None:
        self.is_closed = True


class Wire(httpx2.AsyncBaseTransport):
    """The network and the name service; it answers each request with `reply`, and keeps what was sent."""

    def __init__(self, reply: httpx2.Response | Exception, *, address: str = "10.0.0.9") -> None:
        self.reply = reply
        self.address = address
        self.sent: list[httpx2.Request] = []
        self.problem: ToolError | None = None
        pinned = PinnedClient(NO_NETWORK, loopback=False, resolve=self.resolve)
        self.transport = EgressTransport(SERVER, pinned, self.credentials)
        self.transport.inner = self  # pyright: ignore[reportAttributeAccessIssue] - the network of a test

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("shop.example", 443)
        return [self.address] if self.address else []

    async def credentials(self) -> Mapping[str, str]:
        if self.problem:
            raise self.problem
        return {"authorization": "Bearer ours"}

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def ask(
        self, body: Any, exchange: McpExchange, *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send a message in an exchange, as the library does."""
        token = current_exchange.set(exchange)
        try:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            request = httpx2.Request(method, SERVER.url, content=content, headers=headers)
            return await self.transport.handle_async_request(request)
        finally:
            current_exchange.reset(token)


def answered(status: int = 200, content: bytes = b"{}", **headers: str) -> Wire:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Wire(httpx2.Response(status, headers={"content-type": "application/json", **named}, stream=Chunks(content)))


async def test_a_request_goes_to_the_checked_address_in_the_name_of_its_host() -> None:
    wire = answered()
    mine = {"mcp-method": "tools/list", "authorization": "Bearer theirs", "host": "evil.example", "connection": "close"}
    await wire.ask(LIST, McpExchange(headers={"idempotency-key": "mcp_1"}), headers=mine)
    [sent] = wire.sent
    assert str(sent.url) == "https://10.0.0.9/mcp"
    assert sent.extensions["sni_hostname"] == "shop.example"
    names = ("host", "authorization", "idempotency-key", "mcp-method", "accept-encoding", "connection")
    assert [sent.headers.get(name) for name in names] == [
        "shop.example",
        "Bearer ours",
        "mcp_1",
        "tools/list",
        "identity",
        None,
    ]
    assert json.loads(sent.content) == LIST


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_only_a_post_leaves_the_process(method: str) -> None:
    wire = answered()
    assert (await wire.ask(LIST, McpExchange(), method=method)).status_code == NO_STREAM
    assert wire.sent == []


async def test_a_call_is_sent_once_however_often_the_library_sends_it() -> None:
    wire, exchange = answered(), McpExchange(calls_left=1)
    statuses = [(await wire.ask(CALL, exchange)).status_code for _ in range(3)]
    assert statuses == [200, NOT_FORWARDED, NOT_FORWARDED]
    assert len(wire.sent) == 1
    assert (await wire.ask(LIST, exchange)).status_code == 200


@pytest.mark.parametrize("body", [NOTE, {"id": 1, "result": {}}, [CALL], b"no JSON", b"[" * 10_000])
async def test_what_is_no_request_leaves_nothing_in_the_exchange_of_a_call(body: Any) -> None:
    wire, exchange = answered(500, b"SECRET"), McpExchange(calls_left=1)
    await wire.ask(body, exchange)
    assert (exchange.status, exchange.text, exchange.failure, exchange.calls_left) == (0, "", None, 1)
    assert exchange.end.at is None


async def test_every_request_but_a_call_has_an_end() -> None:
    wire, listing, call = answered(), McpExchange(), McpExchange(calls_left=1)
    await wire.ask(LIST, listing)
    await wire.ask(CALL, call)
    assert listing.end.at is not None
    assert call.end.at is None


@pytest.mark.parametrize("address", ["127.0.0.1", "93.184.216.34", "169.254.169.254", ""])
async def test_an_address_that_the_rules_forbid_gets_no_request(address: str) -> None:
    wire, exchange = Wire(httpx2.Response(200), address=address), McpExchange()
    assert (await wire.ask(LIST, exchange)).status_code == NOT_FORWARDED
    assert (wire.sent, exchange.failure) == ([], CallFailure.NOT_SENT)
    assert exchange.reason.startswith("The server was not called: its host")


async def test_a_request_without_credentials_is_not_sent() -> None:
    wire, exchange = answered(), McpExchange()
    wire.problem = ToolError(CallFailure.NOT_SENT, "no token")
    await wire.ask(LIST, exchange)
    assert (wire.sent, exchange.failure, exchange.reason) == ([], CallFailure.NOT_SENT, "no token")


@pytest.mark.parametrize(
    ("problem", "failure", "reason"),
    [
        (httpx2.ConnectError("SECRET"), CallFailure.NOT_SENT, "was not called: it cannot be reached (ConnectError)."),
        (httpx2.ConnectTimeout("SECRET"), CallFailure.NOT_SENT, "it cannot be reached (ConnectTimeout)."),
        (httpx2.ReadError("SECRET"), CallFailure.NO_ANSWER, "its answer broke off (ReadError)."),
        (httpx2.WriteError("SECRET"), CallFailure.NO_ANSWER, "its answer broke off (WriteError)."),
        (httpx2.RemoteProtocolError("SECRET"), CallFailure.NO_ANSWER, "broke off (RemoteProtocolError)."),
        (ConnectionResetError("SECRET"), CallFailure.NO_ANSWER, "broke off (ConnectionResetError)."),
        (TimeoutError("SECRET"), CallFailure.NO_ANSWER, "it did not answer in time."),
    ],
)
async def test_a_failure_says_whether_the_request_may_have_arrived(
    problem: Exception, failure: CallFailure, reason: str
) -> None:
    exchange = McpExchange()
    assert (await Wire(problem).ask(LIST, exchange)).status_code == NOT_FORWARDED
    assert exchange.failure is failure
    assert exchange.reason.endswith(reason)


async def test_the_library_sees_two_headers_of_an_answer_alone() -> None:
    wire = answered(mcp_session_id="s1", set_cookie="a=b", location="https://evil.example", www_authenticate="Basic")
    response = await wire.ask(LIST, McpExchange())
    assert dict(response.headers) == {"content-type": "application/json", "mcp-session-id": "s1", "content-length": "2"}


async def test_a_header_that_is_not_ascii_is_left_out() -> None:
    headers = [(b"content-type", "text/é".encode()), (b"mcp-session-id", b"s1")]
    response = await Wire(httpx2.Response(200, headers=headers, stream=Chunks(b"{}"))).ask(LIST, McpExchange())
    assert "content-type" not in response.headers
    assert response.headers["mcp-session-id"] == "s1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_kept_and_not_forwarded(status: int) -> None:
    exchange = McpExchange()
    response = await answered(status, b"moved", location="https://evil.example").ask(LIST, exchange)
    assert (response.status_code, dict(response.headers).get("location")) == (NOT_FORWARDED, None)
    assert (exchange.status, exchange.text) == (status, "moved")


@pytest.mark.parametrize(
    ("content", "is_protocol_error"),
    [
        (b'{"jsonrpc": "2.0", "error": {"code": -32602}}', True),
        (b'{"error": "as planned"}', False),
        (b'[{"error": {}}]', False),
        (b"not found", False),
        (b"\xff", False),
    ],
)
async def test_an_error_is_one_of_the_protocol_where_its_body_says_so(content: bytes, is_protocol_error: bool) -> None:  # noqa: FBT001 - a case
    exchange = McpExchange()
    response = await answered(400, content).ask(LIST, exchange)
    assert (response.status_code, exchange.is_protocol_error) == (400, is_protocol_error)
    assert exchange.text == content.decode(errors="replace")


async def test_little_is_kept_of_a_long_error() -> None:
    exchange = McpExchange()
    await answered(500, b"x" * (ERROR_LIMIT + 1)).ask(LIST, exchange)
    assert exchange.text == "x" * ERROR_LIMIT


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_answer_is_no_usable_one(encoding: str) -> None:
    body, exchange = Chunks(b"packed"), McpExchange()
    wire = Wire(httpx2.Response(200, headers={"content-encoding": encoding, **STREAM}, stream=body))
    assert (await wire.ask(LIST, exchange)).status_code == NOT_FORWARDED
    assert (exchange.failure, body.is_closed) == (CallFailure.NO_ANSWER, True)
    assert "compressed" in exchange.reason


async def test_a_stream_is_passed_on_as_it_comes() -> None:
    body, exchange = Chunks(b"data: 1\n\n", b"", b"data: 2\n\n"), McpExchange()
    response = await Wire(httpx2.Response(200, headers=STREAM, stream=body)).ask(LIST, exchange)
    assert not body.is_closed
    assert [chunk async for chunk in response.aiter_raw()] == [b"data: 1\n\n", b"data: 2\n\n"]
    await response.aclose()
    assert (body.is_closed, exchange.failure) == (True, None)


@pytest.mark.parametrize("headers", [STREAM, {"content-type": "application/json"}])
async def test_an_answer_may_have_the_most_bytes_and_no_more(headers: dict[str, str]) -> None:
    for extra, failure in ((b"", None), (b"x", CallFailure.NO_ANSWER)):
        exchange = McpExchange()
        body = Chunks(b"x" * MAX_ANSWER_BYTES, extra)
        response = await Wire(httpx2.Response(200, headers=headers, stream=body)).ask(LIST, exchange)
        assert await response.aread() == b"x" * MAX_ANSWER_BYTES
        assert exchange.failure is failure


@pytest.mark.parametrize("headers", [STREAM, {"content-type": "application/json"}])
async def test_an_answer_that_breaks_off_ends_early_without_an_error(headers: dict[str, str]) -> None:
    body, exchange = Chunks(b"data", httpx2.ReadError("SECRET")), McpExchange()
    response = await Wire(httpx2.Response(200, headers=headers, stream=body)).ask(LIST, exchange)
    assert await response.aread() == b"data"
    assert exchange.failure is CallFailure.NO_ANSWER
    assert exchange.reason == "The server gave no usable answer: its answer broke off (ReadError)."

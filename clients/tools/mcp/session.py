"""How is a session with an MCP server kept open, and how does it answer?

The library wants a session to be opened and closed by the same task, which so lives as long as the session. It speaks
the revision of 2026, or the older handshake where the server knows no other. What it declares of its abilities is
nothing, so no server may ask back.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Final, cast

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.dispatcher import ProgressFnT
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    INVALID_REQUEST,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    Implementation,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    Tool,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from opentelemetry.trace import NoOpTracer
from pydantic import ValidationError

from clients.sources.port import MAX_ANSWER_BYTES
from clients.tools.credentials import key_argument, key_header
from clients.tools.mcp.exchange import McpExchange, current_exchange
from clients.tools.mcp.results import SUCCESS, answer_of
from clients.tools.mcp.tasks import CALL_RESULT, CreatedTask, error_code, extension, lost_task, task_answer
from clients.tools.mcp.transport import ERROR_LIMIT, EgressTransport
from clients.tools.port import AnsweredBy, CallFailure, ToolAnswer, ToolError, ToolRequest
from domain.tools.catalog import ToolServer
from domain.tools.listings.listing import MAX_TOOLS, ListedTool, ToolListing

NOT_FOUND: Final = 404
REDIRECTION: Final = 300
MAX_PAGES: Final = 8
SHORTEST_S, USUAL_S, LONGEST_S = 10.0, 300.0, 3600.0
"""For how long a list is used: at least, where its server says nothing, and at most."""

NO_ANSWER_CODES: Final = frozenset({CONNECTION_CLOSED, PARSE_ERROR, INVALID_REQUEST, REQUEST_TIMEOUT})
"""The codes that the library itself gives a request whose answer it does not get or understand."""

ASKED_BACK: Final = "The server asked back, which is not supported; the call has not ended."
CLOSED: Final = "The call was not sent: the process ends."
NO_USABLE_ANSWER: Final = "The server gave no usable answer."


def record_no_spans() -> None:
    """Let the library pass the trace on, without spans of its own: their status has the server's words."""
    vars(import_module("mcp.shared._otel"))["_tracer"] = NoOpTracer()


record_no_spans()


class SessionLostError(Exception):
    """The server does not know the session any more, or wants its tools to be listed first. It has run nothing."""


class McpSession:
    """One session with one server."""

    def __init__(self, server: ToolServer, transport: EgressTransport) -> None:
        self.server = server
        self.transport = transport
        self.connecting = McpExchange()
        self.closing = asyncio.Event()
        self.users = 0
        self.is_retired = False
        self.opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        """Keep the session open until it is closed."""
        current_exchange.set(self.connecting)
        try:
            async with httpx2.AsyncClient(transport=self.transport, max_redirects=0, trust_env=False) as http:
                streams = streamable_http_client(
                    self.server.url, http_client=http, terminate_on_close=False, max_sse_event_size=MAX_ANSWER_BYTES
                )
                info = Implementation(name="ganglion", version="1")
                async with Client(streams, cache=None, client_info=info, extensions=(extension(),)) as client:
                    self.opened.set_result(client)
                    await self.closing.wait()
        except Exception as problem:  # noqa: BLE001 - whatever the library raises, the session has ended
            if not self.opened.done():
                self.opened.set_exception(ToolError(CallFailure.NOT_SENT, self.why_not_open(problem)))
                self.opened.exception()

    def why_not_open(self, problem: Exception) -> str:
        """Return the reason without any text of the server."""
        if self.connecting.reason:
            return self.connecting.reason
        if self.connecting.status >= REDIRECTION:
            return f"The server answered with status {self.connecting.status}."
        return f"The server does not speak MCP: its first answer cannot be read ({type(cause_of(problem)).__name__})."

    @property
    def has_ended(self) -> bool:
        return self.task.done() or self.is_retired or self.closing.is_set()

    async def client(self) -> Client:
        return await asyncio.shield(self.opened)

    def retire(self) -> None:
        """Close the session as soon as no request of another turn is under way in it."""
        self.is_retired = True
        if not self.users:
            self.closing.set()

    async def close(self) -> None:
        self.closing.set()
        if not self.opened.done():
            self.opened.set_exception(ToolError(CallFailure.NOT_SENT, CLOSED))
            self.opened.exception()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def listing(self) -> ToolListing:
        """Return the tools of the server. Raises ToolError and SessionLostError."""
        tools: list[ListedTool] = []
        fresh_s, is_public = LONGEST_S, True
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self.page(cursor)
            tools += [listed(each) for each in page.tools]
            fresh_s, is_public = min(fresh_s, freshness(page)), is_public and page.cache_scope == "public"
            cursor = page.next_cursor
            if cursor is None or len(tools) > MAX_TOOLS:
                break
        fresh_s = max(SHORTEST_S, fresh_s)
        return ToolListing(tools=tuple(tools[:MAX_TOOLS]), fresh_s=fresh_s, is_public=is_public)

    async def page(self, cursor: str | None) -> ListToolsResult:
        exchange = McpExchange()
        client = await self.client()
        token = current_exchange.set(exchange)
        try:
            return await client.session.list_tools(params=PaginatedRequestParams(cursor=cursor) if cursor else None)
        except MCPError as error:
            answer = self.answer_of_error(error, exchange)
            raise ToolError(CallFailure.NO_ANSWER, f"The server did not list its tools ({answer.status}).") from None
        except (ValidationError, RuntimeError, RecursionError):
            raise ToolError(CallFailure.NO_ANSWER, "The server's list of tools cannot be read.") from None
        finally:
            current_exchange.reset(token)

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Keep the session open for a request, also where it is retired meanwhile."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            if self.is_retired:
                self.retire()

    async def call(self, request: ToolRequest) -> ToolAnswer:
        """Send a call once, or ask for its task. Raises ToolError; SessionLostError where the server has not run it."""
        exchange = McpExchange(headers={} if request.task else key_header(request.tool, request.key), calls_left=1)
        client = await self.client()
        token = current_exchange.set(exchange)
        try:
            return await (task_answer(client.session, request) if request.task else call_answer(client, request))
        except MCPError as error:
            answer = self.answer_of_error(error, exchange)
            return lost_task(request, answer) if request.task else answer
        except (ValidationError, RuntimeError, RecursionError):
            raise ToolError(CallFailure.NO_ANSWER, exchange.reason or NO_USABLE_ANSWER) from None
        finally:
            current_exchange.reset(token)
            exchange.end.now()

    def answer_of_error(self, error: MCPError, exchange: McpExchange) -> ToolAnswer:
        """Return what an error of the library means, by what came over HTTP."""
        if exchange.failure:
            raise ToolError(exchange.failure, exchange.reason)
        if error.code == HEADER_MISMATCH or (exchange.status == NOT_FOUND and not self.is_modern):
            raise SessionLostError
        if exchange.status and not exchange.is_protocol_error and not 200 <= exchange.status < 300:  # noqa: PLR2004 - HTTP's classes
            return ToolAnswer(status=exchange.status, text=exchange.text)
        if error.code in NO_ANSWER_CODES and not exchange.is_protocol_error:
            raise ToolError(CallFailure.NO_ANSWER, NO_USABLE_ANSWER)
        return ToolAnswer(status=error_code(error.code), text=error.message[:ERROR_LIMIT], by=AnsweredBy.PROTOCOL)

    @property
    def is_modern(self) -> bool:
        client = self.opened.result() if self.opened.done() and not self.opened.exception() else None
        return client is not None and client.protocol_version in MODERN_PROTOCOL_VERSIONS


def cause_of(problem: Exception) -> Exception:
    """Return the first error of those that the tasks of the library have raised together."""
    while isinstance(problem, ExceptionGroup):
        problem = cast("ExceptionGroup[Exception]", problem).exceptions[0]
    return problem


async def call_answer(client: Client, request: ToolRequest) -> ToolAnswer:
    result = await client.session.send_request(
        called(request), CALL_RESULT, progress_callback=reporting(request.on_progress)
    )
    if isinstance(result, InputRequiredResult):
        raise ToolError(CallFailure.NO_ANSWER, ASKED_BACK)
    if isinstance(result, CreatedTask):
        return ToolAnswer(status=SUCCESS, text="", task=result.task())
    return answer_of(result)


def called(request: ToolRequest) -> CallToolRequest:
    arguments = {**request.arguments, **key_argument(request.tool, request.key)}
    return CallToolRequest(params=CallToolRequestParams(name=request.tool.name, arguments=arguments))


def reporting(on_progress: Callable[[], None]) -> ProgressFnT:
    """Return the callback of the library for a server's progress; how far it is does not matter here."""

    async def report(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - its form
        on_progress()

    return report


def listed(tool: Tool) -> ListedTool:
    hints = tool.annotations
    return ListedTool(
        name=tool.name,
        description=tool.description or "",
        schema=tool.input_schema,
        reads_only=bool(hints and hints.read_only_hint),
    )


def freshness(page: ListToolsResult) -> float:
    """Return for how many seconds a list may be used; a server of an older revision does not say it."""
    ttl_ms = page.ttl_ms if "ttl_ms" in page.model_fields_set else None
    return USUAL_S if ttl_ms is None else min(ttl_ms, LONGEST_S * 1000) / 1000

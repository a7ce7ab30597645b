"""What does a session make of a server's lists and errors, and when does it end?"""

import asyncio
from copy import replace
from typing import Any, cast, override

import httpx2
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    ListToolsResult,
)
from msgspec import Struct

from clients.tools.mcp.exchange import McpExchange
from clients.tools.mcp.session import (
    LONGEST_S,
    MAX_PAGES,
    SHORTEST_S,
    USUAL_S,
    McpSession,
    SessionLostError,
    called,
    cause_of,
    freshness,
    listed,
)
from clients.tools.mcp.transport import ERROR_LIMIT
from clients.tools.port import AnsweredBy, CallFailure, ToolAnswer, ToolError, ToolRequest
from domain.config.tools_toml import tools_from_toml
from domain.tools.listings.listing import MAX_TOOLS
from tests.clients.tools.mcp.servers import FILE
from tests.fakes.worlds import OWNER

SERVER = tools_from_toml(FILE.format(url="https://shop.example"), {}, on_azure=False).known["shop"]
OLD, NEW = "2025-06-18", "2026-07-28"


class Revision(Struct, frozen=True):
    """A client of the library, of which only the revision is asked for."""

    protocol_version: str


class OpenSession(McpSession):
    """A session without a network, with a server of a revision that gives these pages of its list."""

    def __init__(self, *pages: ListToolsResult, revision: str = NEW) -> None:
        self.pages = list(pages)
        self.asked: list[str | None] = []
        super().__init__(SERVER, cast("Any", None))
        self.opened.set_result(cast("Client", Revision(revision)))

    @override
    async def run(self) -> None:
        await self.closing.wait()

    @override
    async def page(self, cursor: str | None) -> ListToolsResult:
        self.asked.append(cursor)
        return self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]


def page(names: int = 1, **fields: Any) -> ListToolsResult:
    tools = [{"name": f"t{number}", "inputSchema": {"type": "object"}} for number in range(names)]
    return ListToolsResult.model_validate({"tools": tools, **fields}, by_name=False)


def tool(**fields: Any) -> Any:
    found = ListToolsResult.model_validate({"tools": [{"name": "t", "inputSchema": {}, **fields}]}, by_name=False)
    return listed(found.tools[0])


@pytest.mark.parametrize(
    ("ttl", "fresh_s"),
    [
        ({}, USUAL_S),
        ({"ttlMs": 60_000}, 60.0),
        ({"ttlMs": 0}, SHORTEST_S),
        ({"ttlMs": 10**9}, LONGEST_S),
        ({"ttlMs": 10**400}, LONGEST_S),
    ],
)
async def test_a_list_is_used_as_long_as_its_server_says_within_bounds(ttl: dict[str, int], fresh_s: float) -> None:
    session = OpenSession(page(**ttl))
    assert (await session.listing()).fresh_s == fresh_s
    await session.close()


async def test_the_pages_of_a_list_are_one_list_with_the_shortest_time() -> None:
    pages = page(ttlMs=60_000, nextCursor="a"), page(2, ttlMs=30_000, nextCursor="b"), page(ttlMs=90_000)
    session = OpenSession(*pages)
    found = await session.listing()
    assert ([each.name for each in found.tools], found.fresh_s) == (["t0", "t0", "t1", "t0"], 30.0)
    assert session.asked == [None, "a", "b"]
    await session.close()


@pytest.mark.parametrize(("scopes", "is_public"), [("public public", True), ("public private", False), ("", False)])
async def test_a_list_is_everybodys_where_every_page_is(scopes: str, is_public: bool) -> None:  # noqa: FBT001 - a case
    fields: list[dict[str, Any]] = [{"cacheScope": each} for each in scopes.split()] or [{}]
    session = OpenSession(*(page(nextCursor="c", **each) for each in fields[:-1]), page(**fields[-1]))
    assert (await session.listing()).is_public is is_public
    await session.close()


async def test_a_list_without_an_end_is_read_to_a_bound() -> None:
    endless, huge = OpenSession(page(nextCursor="again")), OpenSession(page(MAX_TOOLS + 5, nextCursor="more"))
    assert len((await endless.listing()).tools) == len(endless.asked) == MAX_PAGES
    assert (len((await huge.listing()).tools), len(huge.asked)) == (MAX_TOOLS, 1)
    await asyncio.gather(endless.close(), huge.close())


def test_a_tool_reads_only_where_it_says_so() -> None:
    assert tool(annotations={"readOnlyHint": True}).reads_only is True
    without: tuple[dict[str, Any], ...] = (
        {},
        {"annotations": {}},
        {"annotations": {"readOnlyHint": False}},
        {"annotations": None},
    )
    for hints in without:
        assert tool(**hints).reads_only is False
    assert (tool().description, tool(description="Finds.").description) == ("", "Finds.")


def test_a_list_without_a_time_is_one_of_an_older_revision() -> None:
    assert (freshness(page()), freshness(page(ttlMs=1500))) == (USUAL_S, 1.5)


async def meaning(error: MCPError, exchange: McpExchange, revision: str = NEW) -> ToolAnswer:
    session = OpenSession(page(), revision=revision)
    try:
        return session.answer_of_error(error, exchange)
    finally:
        await session.close()


async def test_what_went_wrong_on_the_way_counts_first() -> None:
    exchange = McpExchange(status=404, failure=CallFailure.NOT_SENT, reason="not sent")
    with pytest.raises(ToolError, match="not sent") as raised:
        await meaning(MCPError(HEADER_MISMATCH, "x"), exchange, OLD)
    assert raised.value.failure is CallFailure.NOT_SENT


async def test_a_session_is_lost_where_the_server_does_not_know_it_or_wants_a_header() -> None:
    for error, status, revision in ((HEADER_MISMATCH, 400, NEW), (CONNECTION_CLOSED, 404, OLD)):
        with pytest.raises(SessionLostError):
            await meaning(MCPError(error, "x"), McpExchange(status=status, is_protocol_error=True), revision)
    answer = await meaning(MCPError(CONNECTION_CLOSED, "x"), McpExchange(status=404, text="no page"), NEW)
    assert answer == ToolAnswer(status=404, text="no page")


@pytest.mark.parametrize("status", [307, 401, 503])
async def test_an_error_of_http_is_its_status_and_body(status: int) -> None:
    answer = await meaning(MCPError(CONNECTION_CLOSED, "the library's words"), McpExchange(status=status, text="body"))
    assert answer == ToolAnswer(status=status, text="body")


@pytest.mark.parametrize("code", [CONNECTION_CLOSED, PARSE_ERROR, INVALID_REQUEST, REQUEST_TIMEOUT])
async def test_a_code_is_the_librarys_own_unless_the_body_is_an_error_of_the_protocol(code: int) -> None:
    for status in (0, 200):
        with pytest.raises(ToolError) as raised:
            await meaning(MCPError(code, "x"), McpExchange(status=status))
        assert raised.value.failure is CallFailure.NO_ANSWER
    answer = await meaning(MCPError(code, "x"), McpExchange(status=400, is_protocol_error=True))
    assert answer == ToolAnswer(status=code, text="x", by=AnsweredBy.PROTOCOL)


@pytest.mark.parametrize(("code", "kept"), [(INVALID_PARAMS, INVALID_PARAMS), (10**400, INTERNAL_ERROR)])
async def test_an_error_of_the_protocol_has_a_code_and_a_text_that_a_record_can_keep(code: int, kept: int) -> None:
    answer = await meaning(MCPError(code, "x" * (ERROR_LIMIT + 1)), McpExchange(status=200))
    assert answer == ToolAnswer(status=kept, text="x" * ERROR_LIMIT, by=AnsweredBy.PROTOCOL)


async def test_a_retired_session_ends_with_its_last_request() -> None:
    session = OpenSession(page())
    with session.in_use():
        with session.in_use():
            session.retire()
        assert session.has_ended, "no other turn uses it"
        assert not session.closing.is_set()
    assert session.closing.is_set()
    await session.task


async def test_a_session_that_nobody_uses_ends_when_it_is_retired_and_not_before() -> None:
    session = OpenSession(page())
    with session.in_use():
        assert not session.has_ended
    assert not session.has_ended
    session.retire()
    await session.task
    assert session.has_ended


async def test_whoever_waits_for_a_session_that_is_closed_learns_it() -> None:
    session = McpSession(SERVER, cast("Any", httpx2.MockTransport(lambda _: httpx2.Response(500))))
    await session.close()
    with pytest.raises(ToolError) as raised:
        await session.client()
    assert raised.value.failure is CallFailure.NOT_SENT


def test_a_key_that_the_file_wants_in_an_argument_replaces_what_the_model_gave() -> None:
    refund = ToolRequest(
        server=SERVER,
        tool=SERVER.tools["refund_order"],
        arguments={"number": "A-1", "key": "own"},
        key="k",
        owner=OWNER,
    )
    assert called(refund).params.arguments == {"number": "A-1", "key": "k"}
    find = replace(refund, tool=SERVER.tools["find_order"])
    assert called(find).params.arguments == {"number": "A-1", "key": "own"}


def test_the_first_error_of_a_group_is_its_cause() -> None:
    inner = LookupError()
    assert cause_of(ExceptionGroup("a", [ExceptionGroup("b", [inner, ValueError()]), KeyError()])) is inner
    assert cause_of(inner) is inner

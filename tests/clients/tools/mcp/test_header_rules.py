"""Do the headers of a request say what its body says, and does a server learn that nobody waits for a call?"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
import pytest
from pydantic import Field

from clients.tools.factory import build_tools
from tests.checks import every
from tests.clients.tools.mcp.servers import FILE, Served, served
from tests.clients.tools.mcp.test_mcp_tool import ERAS, request
from tests.end_to_end.waiting import eventually

pytestmark = pytest.mark.slow

CANCELLED = "notifications/cancelled"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
TOOL = '\n[servers.shop.tools.ship]\neffect = "write"\napproval = "never"\n'
Region = Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]


@asynccontextmanager
async def shipping() -> AsyncGenerator[tuple[Served, list[str]]]:
    """Yield a server that wants one argument in a header too, and the regions that it has shipped to."""
    shipped: list[str] = []

    async def ship(region: Region) -> str:
        await anyio.lowlevel.checkpoint()
        shipped.append(region)
        return "shipped"

    async with served(file=FILE + TOOL) as one:
        one.shop.server.add_tool(ship, description="Ships.")
        yield one, shipped


def calls_of(one: Served) -> list[Any]:
    return [each for each in one.shop.faults.requests if each["body"].get("method") == "tools/call"]


async def test_method_tool_and_marked_arguments_are_in_the_headers_of_a_call() -> None:
    async with shipping() as (one, shipped):
        await one.tools.listing(one.server)
        assert (await one.tools.call(request(one, "ship", region="north"))).is_success
        [call] = calls_of(one)
        names = ("mcp-method", "mcp-name", "mcp-param-region", "mcp-protocol-version")
        assert [call["headers"].get(name) for name in names] == ["tools/call", "ship", "north", "2026-07-28"]
        assert shipped == ["north"]


async def test_a_process_that_has_not_seen_the_list_lists_the_tools_when_the_server_wants_a_header() -> None:
    """The server rejects the first request before it runs anything, so a write without a key is sent again."""
    async with shipping() as (one, shipped):
        other = build_tools(one.clock, loopback=True, client_id=None)
        try:
            assert (await other.call(request(one, "ship", region="south"))).is_success
        finally:
            await other.close()
        assert [call["headers"].get("mcp-param-region") for call in calls_of(one)] == [None, "south"]
        assert shipped == ["south"]


@ERAS
async def test_no_ability_to_be_asked_back_is_declared(era: str) -> None:
    async with served(era=era) as one:
        await one.tools.call(request(one, "find_order", number="A-1"))
        sent: list[Any] = [each["body"].get("params") or {} for each in one.shop.faults.requests]
        declared: list[Any] = [each.get("capabilities") or each.get("_meta", {}).get(CAPABILITIES) for each in sent]
        told = [set(each) for each in declared if each]
        assert every(each <= {"extensions", "experimental"} for each in told)


async def test_a_server_of_the_older_revisions_is_told_that_a_call_is_given_up() -> None:
    async with served(era="old") as one:
        started = asyncio.Event()
        running = asyncio.create_task(one.tools.call(request(one, "wait", started.set, steps=10_000)))
        await started.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        [call] = calls_of(one)
        [told] = await eventually(lambda: messages(one, CANCELLED), within_s=60, what="the cancellation")
        assert told["params"]["requestId"] == call["body"]["id"]


async def messages(one: Served, method: str) -> list[Any] | None:
    return [each["body"] for each in one.shop.faults.requests if each["body"].get("method") == method] or None

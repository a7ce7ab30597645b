"""Does an operator see what MCP servers list, and accept what has changed?"""

from copy import replace

import pytest

from ganglion.remote import commands
from ganglion.remote.client import ApiError
from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent
from tests.api.tools.test_mcp_servers import FIND, NOTE, listing, mcp_shop, names
from tests.fakes.backends import says
from tests.fakes.tools import FakeTools
from tests.fakes.worlds import OWNER
from tests.ganglion.remote.test_commands import caller, output

CHANGED = replace(FIND, description="Finds an order, and more.")


async def offered(one: Api) -> set[str]:
    one.http.headers["authorization"] = "Bearer mine"
    made = (await one.create({"model": "auto", "input": "?", "tools": [SHOP]})).json()
    return names(made["output"][0])


async def test_a_changed_tool_is_offered_again_after_a_command_has_accepted_it() -> None:
    tools = FakeTools(listings=listing(FIND, NOTE))
    one = agent(*[says("hello")] * 3, tools=tools, servers=mcp_shop(), operator_tenant=OWNER.tenant)
    assert await offered(one) == {"find_order", "send_note"}
    tools.listings = listing(CHANGED, NOTE)
    assert await offered(one) == {"send_note"}
    listed = (await output(caller(one), commands.tools)).splitlines()
    assert [row.split()[1:4] for row in listed[1:]] == [
        ["find_order", "changed", CHANGED.fingerprint],
        ["send_note", "accepted", NOTE.fingerprint],
    ]
    accepted = await output(caller(one, "accepter"), commands.accept, "shop", CHANGED.fingerprint)
    assert "accepted" in accepted
    assert await offered(one) == {"find_order", "send_note"}


async def test_a_tool_is_accepted_as_it_is_listed_now_and_by_who_may() -> None:
    tools = FakeTools(listings=listing(CHANGED))
    one = agent(tools=tools, servers=mcp_shop(), operator_tenant=OWNER.tenant)
    with pytest.raises(ApiError, match=r"Tools\.Accept"):
        await output(caller(one), commands.accept, "shop", CHANGED.fingerprint)
    for label, fingerprint in (("shop", FIND.fingerprint), ("bank", CHANGED.fingerprint)):
        with pytest.raises(ApiError, match="not found"):
            await output(caller(one, "accepter"), commands.accept, label, fingerprint)
    other = agent(tools=tools, servers=mcp_shop(), operator_tenant=None)
    with pytest.raises(ApiError, match="Only the operator's tenant"):
        await output(caller(other, "accepter"), commands.accept, "shop", CHANGED.fingerprint)


async def test_a_server_without_a_list_is_named_and_strangers_see_nothing() -> None:
    one = agent(tools=FakeTools(), servers=mcp_shop())
    assert "no_list" in await output(caller(one), commands.tools)
    with pytest.raises(ApiError, match=r"Operations\.Read"):
        await output(caller(one, "mine"), commands.tools)
    closed = mcp_shop('tenants = ["99999999-9999-9999-9999-999999999999"]')
    other = agent(tools=FakeTools(listings=listing(FIND)), servers=closed, operator_tenant=OWNER.tenant)
    assert "shop" not in await output(caller(other), commands.tools)
    with pytest.raises(ApiError, match="not found"):
        await output(caller(other, "accepter"), commands.accept, "shop", FIND.fingerprint)

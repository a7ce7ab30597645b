"""What may be done with a tool, and who may use which tools of a server?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.identity.owners import Owner
from domain.tools.catalog import (
    IdempotencyKey,
    KeyPlace,
    ServerTool,
    ToolApproval,
    ToolEffect,
    ToolServer,
    ToolServers,
    other_tool,
)
from tests.fakes.tools import shop

SHOP = shop().known["shop"]
FIND, REFUND, NOTE = (SHOP.tools[name] for name in ("find_order", "refund_order", "send_note"))
OWNER = Owner(tenant="one", subject="user:1", roles=("Clerk",))


@pytest.mark.parametrize(
    ("tool", "is_repeatable", "hints"),
    [
        (FIND, True, (True, True)),
        (REFUND, True, (False, True)),
        (NOTE, False, (False, False)),
        (replace(NOTE, key=IdempotencyKey(place=KeyPlace.ARGUMENT, name="key")), True, (False, True)),
    ],
)
def test_only_a_read_and_a_write_with_a_key_may_be_sent_again(
    tool: ServerTool, hints: tuple[bool, bool], *, is_repeatable: bool
) -> None:
    assert tool.is_repeatable is is_repeatable
    assert tool.annotations == {"readOnlyHint": hints[0], "idempotentHint": hints[1]}


def test_a_tool_that_the_file_does_not_name_is_a_write_that_needs_an_approval() -> None:
    assert (other_tool("x").effect, other_tool("x").approval) == (ToolEffect.WRITE, ToolApproval.ALWAYS)
    assert other_tool("x", ToolEffect.READ).approval is ToolApproval.NEVER
    assert SHOP.rights("unknown") is None
    rights = replace(SHOP, others=True).rights("unknown")
    assert rights == other_tool("unknown")
    assert replace(SHOP, others=True).rights("find_order") == FIND


def test_the_worst_of_a_call_is_all_of_its_tries_and_its_longest_request() -> None:
    tool = replace(NOTE, price=Decimal("0.02"), tries=3, timeout_s=10.0, progress_s=60.0)
    assert (tool.worst_cost, tool.longest_s, replace(tool, progress_s=0.0).longest_s) == (Decimal("0.06"), 60.0, 10.0)


def test_the_schema_of_a_tool_has_the_arguments_of_the_file_and_no_others() -> None:
    schema = REFUND.input_schema
    assert (list(schema["properties"]), schema["additionalProperties"]) == (["number"], False)
    assert replace(REFUND, parameters={"type": "object"}).input_schema == {"type": "object"}


def test_a_tenant_has_the_tools_that_are_open_to_it() -> None:
    closed = replace(NOTE, tenants=frozenset({"one"}))
    server = replace(SHOP, tools={"send_note": closed, "find_order": FIND})
    assert set(server.for_tenant("one").tools) == {"send_note", "find_order"}
    assert set(server.for_tenant("two").tools) == {"find_order"}
    assert SHOP.for_tenant("two") is SHOP


@pytest.mark.parametrize(
    ("server", "is_open"),
    [
        (SHOP, True),
        (replace(SHOP, tenants=frozenset({"one"})), True),
        (replace(SHOP, tenants=frozenset({"two"})), False),
        (replace(SHOP, roles=frozenset({"Clerk", "Chief"})), True),
        (replace(SHOP, roles=frozenset({"Chief"})), False),
        (replace(SHOP, tenants=frozenset({"two"}), roles=frozenset({"Clerk"})), False),
    ],
)
def test_a_server_that_is_not_open_to_an_owner_is_as_good_as_none(server: ToolServer, *, is_open: bool) -> None:
    servers = ToolServers(known={"shop": server})
    assert (servers.open_to(OWNER, "shop") is not None) is is_open
    assert servers.open_to(OWNER, "none") is None

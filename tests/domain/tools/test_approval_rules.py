"""Which calls of a round need an approval, and when has the model read what is not trusted?"""

from copy import replace

import pytest

from domain.content.items import Item, ItemKind, ItemStatus
from domain.content.tools import FunctionCall, FunctionTool, ToolConfig
from domain.tools.approval_rules import EARLIER, ApprovalRules, has_untrusted_result, trusts, with_readings
from domain.tools.catalog import ServerTool, ToolApproval, ToolEffect, ToolServer, ToolServers
from domain.tools.result_pages import RESULT_SERVER

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def server(label: str, *, trusted: bool) -> ToolServer:
    tools = {
        "read": ServerTool(name="read"),
        "write": ServerTool(name="write", effect=ToolEffect.WRITE),
        "pay": ServerTool(name="pay", approval=ToolApproval.ALWAYS),
    }
    return ToolServer(label=label, address="https://host", tools=tools, trusted=trusted)


SERVERS = ToolServers(known={"shop": server("shop", trusted=True), "web": server("web", trusted=False)})
READ = FunctionTool(name="read", parameters=NUMBER, server="shop")
CONFIG = ToolConfig(
    functions=(
        READ,
        replace(READ, name="write", writes=True),
        replace(READ, name="pay", needs_approval=True),
        replace(READ, server="web"),
    )
)


def call_item(label: str, arguments: str = '{"n": 1}', **changes: object) -> Item:
    return replace(Item(id="mcp_1", kind=ItemKind.MCP_CALL, name="read", server=label, text=arguments), **changes)


def rules(*items: Item, config: ToolConfig = CONFIG) -> ApprovalRules:
    return ApprovalRules.of_round(config, SERVERS, items)


@pytest.mark.parametrize(
    ("name", "before", "after"), [("read", False, False), ("write", False, True), ("pay", True, True)]
)
def test_writes_need_an_approval_after_an_untrusted_result(name: str, *, before: bool, after: bool) -> None:
    assert rules(call_item("shop")).needs_approval("shop", name) is before
    assert rules(call_item("web")).needs_approval("shop", name) is after


@pytest.mark.parametrize(
    ("item", "tainted"),
    [
        (call_item("web", status=ItemStatus.FAILED), True),
        (call_item("gone"), True),
        (call_item("web", kind=ItemKind.FILE_SEARCH), True),
        (call_item("web", status=ItemStatus.IN_PROGRESS), False),
        (call_item("web", kind=ItemKind.FUNCTION_CALL), False),
        (call_item(RESULT_SERVER), False),
        (call_item("web", '{"n": "x"}'), False),
        (call_item("web", "no JSON"), False),
    ],
)
def test_only_calls_that_reached_an_untrusted_server_taint(item: Item, *, tainted: bool) -> None:
    assert rules(item).is_tainted is tainted


def test_what_earlier_turns_read_remains() -> None:
    assert rules(config=replace(CONFIG, is_tainted=True)).needs_approval("shop", "write")


def test_the_stricter_of_the_offer_and_of_the_file_counts() -> None:
    offered = replace(CONFIG, functions=(replace(READ, name="pay"), replace(READ, name="write")))
    assert not rules(config=offered).needs_approval("shop", "pay")
    assert rules(call_item("web"), config=offered).needs_approval("shop", "write")
    assert rules().needs_approval("shop", "unknown")
    assert rules().needs_approval("gone", "read")


@pytest.mark.parametrize(
    ("name", "arguments", "asks"),
    [("pay", '{"n": 1}', True), ("pay", "{}", False), ("read", '{"n": 1}', False), ("unknown", '{"n": 1}', False)],
)
def test_nobody_is_asked_about_a_call_that_cannot_be_sent(name: str, arguments: str, *, asks: bool) -> None:
    assert rules().asks(FunctionCall(name=name, arguments=arguments, server="shop")) is asks


def test_an_item_that_was_written_after_an_untrusted_result_is_one() -> None:
    message = Item(id="msg_1")
    assert not has_untrusted_result([message, replace(message, read=("shop",))], SERVERS)
    assert has_untrusted_result([message, replace(message, read=("shop", "web"))], SERVERS)
    assert has_untrusted_result([replace(message, read=(EARLIER,))], SERVERS)
    assert has_untrusted_result([call_item("web")], SERVERS)


def test_all_servers_are_trusted_or_none_is() -> None:
    assert trusts(SERVERS, [])
    assert trusts(SERVERS, ["shop"])
    assert not trusts(SERVERS, ["shop", "web"])
    assert not trusts(SERVERS, ["gone"])


def test_each_item_names_the_servers_that_were_read_before_it() -> None:
    items = [call_item("shop"), Item(id="msg_1"), call_item("shop"), call_item("web"), Item(id="msg_2")]
    assert [each.read for each in with_readings(items, is_tainted=False)] == [
        (),
        ("shop",),
        ("shop",),
        ("shop",),
        ("shop", "web"),
    ]
    assert [each.read for each in with_readings(items[:2], is_tainted=True)] == [(EARLIER,), (EARLIER, "shop")]

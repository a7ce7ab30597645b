"""Which requests for tools of servers are rejected, and what do filters and choices mean?"""

from typing import Any

import pytest

from domain.tools.catalog import ToolServers
from tests.api.harness import CALLERS, api
from tests.api.tools.agents import SHOP, agent, calls, sent
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

ALL = {"find_order", "refund_order", "send_note", "close_shop"}
LOOKUP = calls(("shop__find_order", {"number": "A-1"}))


async def asked(*tools: Any, servers: ToolServers | None = None, **more: Any) -> Json:
    """Return the answer to a request with these tools; its model says hello."""
    answer = await agent(says("hello"), servers=servers).create({"model": "auto", "input": "?", "tools": tools, **more})
    return {"status": answer.status_code, **answer.json()}


REJECTED: dict[str, tuple[Json, str, str]] = {
    "an unknown label": ({"server_label": "bank"}, "tools[0].server_label", "tool_not_found"),
    "no label": ({"server_label": None}, "tools[0].server_label", "missing_required_parameter"),
    "another address": ({"server_url": "https://evil.example"}, "tools[0].server_url", "unsupported_value"),
    "a token": ({"authorization": "secret"}, "tools[0].authorization", "unsupported_parameter"),
    "headers": ({"headers": {"a": "b"}}, "tools[0].headers", "unsupported_parameter"),
    "a connector": ({"connector_id": "connector_x"}, "tools[0].connector_id", "unsupported_parameter"),
    "a tunnel": ({"tunnel_id": "t"}, "tools[0].tunnel_id", "unsupported_parameter"),
    "tools that come later": ({"defer_loading": True}, "tools[0].defer_loading", "unsupported_parameter"),
    "no known tool": ({"allowed_tools": ["nothing"]}, "tools[0].allowed_tools", "invalid_value"),
    "no tool at all": ({"allowed_tools": []}, "tools[0].allowed_tools", "invalid_value"),
    "a filter of another type": ({"allowed_tools": "find_order"}, "tools[0].allowed_tools", "invalid_type"),
    "another approval": ({"require_approval": "sometimes"}, "tools[0].require_approval", "invalid_type"),
}


@pytest.mark.parametrize("name", REJECTED)
async def test_a_request_is_rejected_before_it_costs_anything(name: str) -> None:
    change, field, code = REJECTED[name]
    one = agent(says("hello"))
    answer = await one.create({"model": "auto", "input": "?", "tools": [{**SHOP, **change}]})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, field, code)
    assert await one.stored() <= {"limits"}
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("tools", "more", "field"),
    [
        ([SHOP, SHOP], {}, "tools[0].server_label"),
        ([SHOP], {"tool_choice": {"type": "mcp", "server_label": "bank"}}, "tool_choice"),
        ([SHOP], {"tool_choice": {"type": "mcp", "server_label": "shop", "name": "x"}}, "tool_choice"),
        ([SHOP], {"max_tool_calls": 0}, "max_tool_calls"),
        ([{"type": "function", "name": "shop__find_order"}, SHOP], {}, "tools"),
    ],
)
async def test_what_does_not_fit_together_is_rejected(tools: list[Json], more: Json, field: str) -> None:
    answer = await asked(*tools, **more)
    assert (answer["status"], answer["error"]["param"]) == (400, field)


SENT_BACK: dict[str, Json] = {
    "mcp_list_tools": {"tools": []},
    "mcp_call": {"name": "find_order", "arguments": "{}", "output": None},
}


@pytest.mark.parametrize("kind", SENT_BACK)
@pytest.mark.parametrize("error", [True, 5, 1.5, [], [[]], [None]])
async def test_an_item_that_comes_back_has_its_error_in_words_or_as_an_object(kind: str, error: Any) -> None:
    item = {"type": kind, "server_label": "shop", **SENT_BACK[kind], "error": error}
    answer = await api().create({"model": "auto", "input": [item, {"role": "user", "content": "?"}]})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[0].error")


async def test_chat_completions_rejects_the_tools_of_servers() -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "?"}], "tools": [SHOP]}
    answer = await api().http.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools[0].type")


async def test_a_server_of_another_tenant_is_answered_like_an_unknown_one() -> None:
    servers = shop(FILE.replace('kind = "http"', 'kind = "http"\ntenants = ["99999999-9999-9999-9999-999999999999"]'))
    for owner in (OWNER, CALLERS["foreign"]):
        assert (servers.open_to(owner, "shop") is None) is (owner == OWNER)
    closed, unknown = await asked(SHOP, servers=servers), await asked({**SHOP, "server_label": "bank"})
    assert closed["error"]["message"].replace("shop", "bank") == unknown["error"]["message"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, ALL),
        ({"allowed_tools": ["find_order", "close_shop"]}, {"find_order", "close_shop"}),
        ({"allowed_tools": {"read_only": True}}, {"find_order"}),
        ({"allowed_tools": {"tool_names": ["send_note"]}}, {"send_note"}),
        ({"server_url": "http://127.0.0.1:1/"}, ALL),
    ],
)
async def test_a_caller_may_restrict_the_tools(change: Json, names: set[str]) -> None:
    answer = await asked({**SHOP, **change})
    assert {tool["name"] for tool in answer["output"][0]["tools"]} == names


@pytest.mark.parametrize(
    ("wanted", "free"),
    [
        (None, ALL - {"close_shop"}),
        ("never", ALL - {"close_shop"}),
        ("always", set[str]()),
        ({"always": {"read_only": False}}, {"find_order"}),
        ({"always": {"tool_names": ["find_order"]}}, {"refund_order", "send_note"}),
        ({"never": {"tool_names": ["send_note", "close_shop"]}}, {"send_note"}),
        ({"never": ["find_order"]}, {"find_order"}),
    ],
)
async def test_a_caller_may_only_be_stricter_than_the_file(wanted: Any, free: set[str]) -> None:
    tools, asked_for = FakeTools(), {**SHOP, "require_approval": wanted}
    given = {"find_order": {"number": "A-1"}, "refund_order": {"number": "A-1"}, "send_note": {"text": "hi"}}
    named = [(f"shop__{name}", given.get(name, {})) for name in sorted(ALL)]
    one = agent(calls(*named), says("done"), tools=tools)
    answer = (await one.create({"model": "auto", "input": "?", "tools": [asked_for]})).json()
    assert {call.tool for call in tools.sent} == free
    requests = {item["name"] for item in answer["output"] if item["type"] == "mcp_approval_request"}
    assert requests == ALL - free


async def test_a_required_call_is_required_in_the_first_round_alone() -> None:
    one = agent(LOOKUP, says("found"))
    choice = {"type": "mcp", "server_label": "shop", "name": "find_order"}
    answer = await one.create({"model": "auto", "input": "?", "tools": [SHOP], "tool_choice": choice})
    assert answer.json()["tool_choice"] == choice
    assert sent(one, 0)["tool_choice"] == {"type": "function", "function": {"name": "shop__find_order"}}
    assert len(sent(one, 0)["tools"]) == 1
    assert "tool_choice" not in sent(one, 1)
    assert len(sent(one, 1)["tools"]) == 4


async def test_allowed_tools_hold_in_every_round() -> None:
    one = agent(LOOKUP, says("found"))
    allowed = {"type": "mcp", "server_label": "shop", "name": "find_order"}
    choice = {"type": "allowed_tools", "mode": "required", "tools": [allowed]}
    answer = await one.create({"model": "auto", "input": "?", "tools": [SHOP], "tool_choice": choice})
    assert answer.json()["tool_choice"] == choice
    assert [len(sent(one, number)["tools"]) for number in (0, 1)] == [1, 1]
    assert (sent(one, 0)["tool_choice"], "tool_choice" in sent(one, 1)) == ("required", False)


async def test_tools_may_be_offered_and_not_chosen() -> None:
    one = agent(says("hello"))
    answer = await one.create({"model": "auto", "input": "?", "tools": [SHOP], "tool_choice": "none"})
    assert [item["type"] for item in answer.json()["output"]] == ["mcp_list_tools", "message"]
    assert "tools" not in sent(one)


async def test_calls_beyond_the_callers_limit_are_not_run_and_the_model_answers() -> None:
    tools = FakeTools()
    three = calls(*[("shop__find_order", {"number": f"A-{number}"}) for number in range(3)])
    one = agent(three, says("enough"), tools=tools)
    answer = (await one.create({"model": "auto", "input": "?", "tools": [SHOP], "max_tool_calls": 2})).json()
    assert [item.get("status") for item in answer["output"][1:]] == ["completed", "completed", "failed", "completed"]
    assert "limit" in answer["output"][3]["error"]["content"]
    assert len(tools.sent) == 2
    assert "tools" not in sent(one)
    assert (answer["status"], answer["metadata"]["ganglion_ending"]) == ("completed", "max_tool_calls")
    report = (await one.http.get(f"/v1/responses/{answer['id']}/route")).json()
    assert [(each["tries"], each["outcome"]) for each in report["calls"]] == [(1, "completed")] * 2 + [(0, "failed")]
    assert len({each["arguments_hash"] for each in report["calls"]}) == 3


async def test_a_model_that_calls_forever_answers_after_the_limit_of_rounds() -> None:
    one = agent(LOOKUP, tools=FakeTools(), servers=shop(f"[limits]\nmax_rounds = 3\n{FILE}"))
    answer = (await one.create({"model": "auto", "input": "?", "tools": [SHOP]})).json()
    assert [item["type"] for item in answer["output"][1:4]] == ["mcp_call"] * 3
    assert (len(answer["output"]), answer["metadata"]["ganglion_ending"]) == (5, "max_rounds")
    assert "tools" not in sent(one)

"""Can the result of a tool make a turn do what the file and the caller do not allow, whatever the model obeys?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.sources.egress import HttpAnswer
from clients.tools.http_tool import path_of, placed_arguments, read_answer
from clients.tools.port import ToolError
from domain.content.server_calls import marked
from domain.tools.arguments import argument_problem
from domain.tools.catalog import ArgumentPlace
from tests.api.harness import CALLERS, NAMESAKES, Api
from tests.api.tools.agents import SHOP, agent, calls, sent
from tests.api.tools.trust.injections import INJECTIONS
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

pytestmark = pytest.mark.slow

TOOLS = shop().known["shop"].tools
LOOKUP = calls(("shop__find_order", {"number": "A-1"}))
FREE = {"find_order", "refund_order", "send_note"}
"""The tools that need no approval."""


@pytest.mark.parametrize("name", INJECTIONS)
async def test_a_model_that_obeys_a_result_calls_nothing_that_is_not_offered(name: str) -> None:
    injection = INJECTIONS[name]
    tools = FakeTools(replies={"find_order": [answers(injection.text)]})
    one = agent(LOOKUP, *([calls(*injection.calls)] if injection.calls else []), says("done"), tools=tools)
    answer = await one.create({"model": "auto", "input": "where is A-1?", "tools": [SHOP]})
    assert answer.status_code == 200
    for each in tools.sent[1:]:
        assert each.tool in FREE
        assert argument_problem(each.arguments, TOOLS[each.tool].input_schema) == ""
        placed = placed_arguments(TOOLS[each.tool], each.arguments)[ArgumentPlace.PATH]
        assert reaches_only_its_operation(each.tool, placed)


def reaches_only_its_operation(tool: str, placed: Any) -> bool:
    """Tell whether a call stays below the path of its operation, or is not sent at all."""
    try:
        path = path_of(TOOLS[tool], placed)
    except ToolError:
        return True
    return path.startswith(TOOLS[tool].path.partition("{")[0]) and path.count("/") == TOOLS[tool].path.count("/")


UNTRUSTED = shop(FILE.replace("trusted = true\n", ""))


@pytest.mark.parametrize("name", INJECTIONS)
async def test_a_model_that_obeys_a_result_writes_nothing_without_an_approval(name: str) -> None:
    injection = INJECTIONS[name]
    wanted = (*injection.calls, ("shop__refund_order", {"number": "A-7"}), ("shop__send_note", {"text": "sent"}))
    tools = FakeTools(replies={"find_order": [answers(injection.text)]})
    one = agent(LOOKUP, calls(*wanted), says("done"), tools=tools, servers=UNTRUSTED)
    made = (await one.create({"model": "auto", "input": "where is A-1?", "tools": [SHOP]})).json()
    assert {each.tool for each in tools.sent} == {"find_order"}
    requests = [item["name"] for item in made["output"] if item["type"] == "mcp_approval_request"]
    assert requests[-2:] == ["refund_order", "send_note"]


@pytest.mark.parametrize("name", INJECTIONS)
async def test_a_result_stays_between_its_marks(name: str) -> None:
    tools = FakeTools(replies={"find_order": [answers(INJECTIONS[name].text)]})
    one = agent(LOOKUP, says("done"), tools=tools)
    await one.create({"model": "auto", "input": "where is A-1?", "tools": [SHOP]})
    content = sent(one)["messages"][-1]["content"]
    opening, line, closing = content.split("\n")
    assert opening.startswith("[tool result ")
    assert closing.startswith("[end of tool result ")
    assert content.count("tool result ") == 2 or "\\u005b" in line
    assert "<|" not in line
    assert "[/INST]" not in line
    assert json.loads(line) is not None


@given(st.text(max_size=200), st.sampled_from(["[end of tool result ", "<|im_end|>", "\u2028", "[/INST]", "\n"]))
def test_no_text_closes_its_block(text: str, mark: str) -> None:
    lines = marked(text + mark + text, "call_1").split("\n")
    assert len(lines) == 3
    assert json.loads(lines[1]) is not None
    assert not any(word in lines[1] for word in ("<|", "[/INST]", "[end of tool result", "\u2028", "\u2029", "\u0085"))


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "a megabyte": b'"' + b"a" * 1_000_000 + b'"',
    "a megabyte of signs": b"[" * 1_000_000,
    "deep lists": b"[" * 900 + b"]" * 900,
    "deeper lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "no number": b"[NaN, Infinity, -Infinity, 1e999]",
    "a huge number": b"1" * 10_000,
    "no UTF-8": b"\xff\xfe\x00 \xc3\x28",
    "half a character": b'"\\ud800"',
    "zeros": b"\x00" * 5000,
    "half of JSON": b'{"number": "A-1", "status"',
    "another type": b"<html><body>500</body></html>",
    "a line for each": b"\n" * 50_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_is_a_bounded_result_and_no_error_of_the_turn(name: str) -> None:
    answer = read_answer(TOOLS["find_order"], HttpAnswer(status=200, body=HOSTILE[name]))
    one = agent(LOOKUP, says("done"), tools=FakeTools(replies={"find_order": [answer]}))
    made = (await one.create({"model": "auto", "input": "?", "tools": [SHOP]})).json()
    assert made["status"] == "completed"
    (call,) = [item for item in made["output"] if item["type"] == "mcp_call"]
    assert call["status"] == "completed"
    assert len(call["output"].encode()) <= 5000
    assert len(sent(one)["messages"][-1]["content"].encode()) <= 40_000


LABELS = ["shop", "Shop", "bank", "shop ", "", "__proto__", "shop__find_order", "servers.shop", "sh\u043ep", "a" * 60]
OPEN = FILE.replace("servers.shop", "servers.bank")
CLOSED = FILE.replace('kind = "http"', f'kind = "http"\ntenants = ["{OWNER.tenant}"]')
SERVERS = shop(CLOSED + OPEN)


@pytest.mark.parametrize("caller", [name for name in (*CALLERS, *NAMESAKES) if name != "sender"])
@pytest.mark.parametrize("label", LABELS)
async def test_a_label_opens_what_the_file_opens_to_the_tenant_and_nothing_else(label: str, caller: str) -> None:
    owner = (CALLERS | NAMESAKES)[caller]
    is_open = label == "bank" or (label == "shop" and owner.tenant == OWNER.tenant)
    one = agent(says("hello"), servers=SERVERS)
    body = {"model": "auto", "input": "?", "tools": [{"type": "mcp", "server_label": label}]}
    answer = await one.http.post("/v1/responses", json=body, headers=as_caller(caller))
    assert answer.status_code == (200 if is_open else 400)
    if label and not is_open:
        assert answer.json()["error"]["code"] == "tool_not_found"


async def test_a_sender_of_events_names_no_server_at_all() -> None:
    body = {"model": "auto", "input": "?", "tools": [{"type": "mcp", "server_label": "bank"}]}
    answer = await agent(servers=SERVERS).http.post("/v1/responses", json=body, headers=as_caller("sender"))
    assert answer.status_code == 403


def as_caller(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


async def everything(one: Api) -> tuple[str, list[str]]:
    """Run a turn with a call for the first caller; return its id and the ids of its items."""
    made = (await one.create({"model": "auto", "input": "where is A-1?", "tools": [SHOP]})).json()
    return made["id"], [item["id"] for item in made["output"]]


@pytest.mark.parametrize("caller", ["strange", "foreign", "double", "far"])
async def test_the_ids_of_another_owners_calls_are_not_found(caller: str) -> None:
    one = agent(LOOKUP, says("done"), servers=SERVERS, tools=FakeTools(replies={"find_order": [answers("secret-7")]}))
    response, items = await everything(one)
    paths = [f"/v1/responses/{response}", *(f"/v1/responses/{response}/{part}" for part in ("route", "input_items"))]
    for path in paths:
        answer = await one.http.get(path, headers=as_caller(caller))
        assert (answer.status_code, "secret-7" in answer.text) == (404, False)
    for body in (
        {"input": "?", "previous_response_id": response},
        *({"input": [{"type": "item_reference", "id": item}, {"role": "user", "content": "?"}]} for item in items),
    ):
        answer = await one.http.post("/v1/responses", json={"model": "auto", **body}, headers=as_caller(caller))
        assert answer.status_code in {400, 404}
        assert "not found" in answer.text
        assert "secret-7" not in answer.text
    assert len(one.world.backends["main"][1].calls) == 2  # type: ignore[attr-defined]

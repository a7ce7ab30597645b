"""Does a model read the whole of a result that was too long for it, and nobody else?"""

import json
from typing import Any

import pytest

from tests.api.harness import Api
from tests.api.tools.agents import SHOP, agent, calls, sent
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.tools import says as answers

WHOLE = " ".join(f"line {number} of the report" for number in range(400))
LONG = FILE.replace('arguments.number = { in = "path" }', 'max_result_tokens = 200\narguments.number = { in = "path" }')
FIND = calls(("shop__find_order", {"number": "A-1"}))


def page(**arguments: Any) -> Any:
    return calls(("ganglion_results__read_result", arguments))


def long_api(*scripts: Any, tools: FakeTools | None = None) -> Api:
    given = tools or FakeTools(replies={"find_order": [answers(WHOLE)]})
    return agent(FIND, *scripts, tools=given, servers=shop(LONG))


def offered(one: Api, number: int) -> list[str]:
    return [each["function"]["name"] for each in sent(one, number).get("tools", [])]


async def ask(one: Api, **more: Any) -> dict[str, Any]:
    made = await one.create({"input": "what does it say?", "tools": [SHOP], **more})
    assert made.status_code == 200, made.text
    return made.json()


async def test_pages_are_offered_only_after_a_result_was_cut() -> None:
    one = long_api(says("fine"))
    await ask(one)
    assert "ganglion_results__read_result" not in offered(one, 0)
    assert "ganglion_results__read_result" in offered(one, 1)
    described = sent(one, 1)["tools"][-1]["function"]["description"]
    assert f"1: shop__find_order, {len(WHOLE)} characters" in described
    short = long_api(says("fine"), tools=FakeTools(replies={"find_order": [answers("short")]}))
    await ask(short)
    assert "ganglion_results__read_result" not in offered(short, 1)


@pytest.mark.slow
async def test_the_pages_together_are_the_whole_result() -> None:
    text, start = "", 0
    while start < len(WHOLE):
        one = long_api(page(**{"from": start}), says("fine"))
        made = await ask(one)
        call = made["output"][2]
        assert (call["type"], call["server_label"], call["name"], call["status"]) == (
            "mcp_call",
            "ganglion_results",
            "read_result",
            "completed",
        )
        body = json.loads(call["output"])
        assert (body["from"], body["of"]) == (start, len(WHOLE))
        assert body.get("next", len(WHOLE)) == body["to"] > start
        text, start = text + body["text"], body["to"]
    assert text == WHOLE


async def test_the_last_result_is_read_unless_another_one_is_named() -> None:
    tools = FakeTools(replies={"find_order": [answers("a" * 5000), answers("b" * 5000)]})
    again = calls(("shop__find_order", {"number": "A-2"}))
    one = long_api(again, page(), page(number=1), says("fine"), tools=tools)
    outputs = [json.loads(each["output"])["text"][0] for each in (await ask(one))["output"][3:5]]
    assert outputs == ["b", "a"]
    assert len(tools.sent) == 2


async def test_a_wrong_page_returns_to_the_model_with_the_problem() -> None:
    one = long_api(page(number=2), page(**{"from": 10**6}), says("fine"))
    _, _, first, second, _ = (await ask(one))["output"]
    assert first["error"]["message"] == "The call was not sent. Number: expected a number from 1 to 1."
    assert second["error"]["message"] == f"The call was not sent. From: expected a number below {len(WHOLE)}."


async def test_what_was_kept_is_deleted_with_its_response() -> None:
    one = long_api(says("fine"))
    made = await ask(one)
    assert "whole_result" in await one.stored()
    assert (await one.http.delete(f"/v1/responses/{made['id']}")).status_code == 200
    assert "whole_result" not in await one.stored()


async def test_a_turn_that_has_waited_for_days_still_reads_its_pages() -> None:
    one = long_api(calls(("shop__close_shop", {})), page(), says("fine"))
    metadata = {"approval_wait_s": str(9 * 86_400)}
    made = (await one.create({"input": "?", "tools": [SHOP], "background": True, "metadata": metadata})).json()
    board = one.orchestrations.boards[made["id"]]
    await board.begun(1)
    asked = (await one.http.get(f"/v1/responses/{made['id']}")).json()["output"][-1]
    one.world.clock.advance(4 * 86_400)
    decision = {"approval_request_id": asked["id"], "approve": False}
    await one.http.post(f"/v1/responses/{made['id']}/approvals", json=decision)
    await one.orchestrations.ended()
    *_, read, _ = (await one.http.get(f"/v1/responses/{made['id']}")).json()["output"]
    assert (read["name"], read["status"]) == ("read_result", "completed")


async def test_another_turn_has_no_page_of_it() -> None:
    """Only the turn that has the result reads it: a later turn, or another owner's, is not even offered the tool."""
    one = long_api(says("fine"), says("no"))
    made = await ask(one)
    later = await ask(one, previous_response_id=made["id"])
    assert "ganglion_results__read_result" not in offered(one, -1)
    assert [each["type"] for each in later["output"]] == ["message"]


async def test_pages_of_a_trusted_server_need_no_approval_for_a_write_after_them() -> None:
    tools = FakeTools(replies={"find_order": [answers(WHOLE)]})
    one = long_api(page(), calls(("shop__send_note", {"text": "?"})), says("fine"), tools=tools)
    made = await ask(one)
    assert [each["type"] for each in made["output"]] == ["mcp_list_tools", *["mcp_call"] * 3, "message"]
    assert [each.tool for each in tools.sent] == ["find_order", "send_note"]


async def test_the_label_of_the_pages_is_no_server_of_a_caller() -> None:
    made = await long_api().create({"input": "?", "tools": [{"type": "mcp", "server_label": "ganglion_results"}]})
    assert (made.status_code, made.json()["error"]["code"]) == (400, "tool_not_found")

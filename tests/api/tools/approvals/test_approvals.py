"""Is a call that needs an approval run once, and only after its approval, as the unmodified SDK sees it?"""

import json
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from openai.types.responses.response_output_item import McpApprovalRequest, McpCall

from clients.tools.port import CallFailure, ToolError
from domain.tools.catalog import ToolServers
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.api.tools.agents import SHOP, agent, calls, sent
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, SentCall, shop
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

TOOLS: Any = [SHOP]
CLOSE = ("shop__close_shop", dict[str, Any]())
LOOKUP = ("shop__find_order", {"number": "A-1"})
UNTRUSTED = FILE.replace("trusted = true\n", "")
TTL = "[limits]\napproval_ttl_s = 3600\n"


def request_in(made: Response) -> McpApprovalRequest:
    (found,) = [item for item in made.output if isinstance(item, McpApprovalRequest)]
    return found


def answer_to(request_id: str, *, approve: bool, **more: Any) -> Any:
    return {"type": "mcp_approval_response", "approval_request_id": request_id, "approve": approve, **more}


def words(one: Api) -> str:
    """Return the last message that the model has read."""
    return str(sent(one)["messages"][-1]["content"])


async def asks(client: openai.AsyncOpenAI) -> Response:
    return await client.responses.create(model="auto", input="close the shop", tools=TOOLS)


async def answers_with(client: openai.AsyncOpenAI, made: Response, *, approve: bool, **more: Any) -> Response:
    answer = answer_to(request_in(made).id, approve=approve, **more)
    return await client.responses.create(model="auto", input=[answer], previous_response_id=made.id, tools=[SHOP])


async def test_calls_that_need_no_approval_run_and_then_the_response_ends_with_the_request() -> None:
    tools = FakeTools()
    one = agent(calls(LOOKUP, CLOSE), tools=tools)
    async with sdk(one) as client:
        stream = await client.responses.create(model="auto", input="close", tools=TOOLS, stream=True)
        events: list[Any] = [event async for event in stream]
    made = events[-1].response
    assert (made.status, [item.type for item in made.output]) == (
        "completed",
        ["mcp_list_tools", "mcp_call", "mcp_approval_request"],
    )
    assert [call.tool for call in tools.sent] == ["find_order"]
    request = request_in(made)
    assert (request.server_label, request.name, request.arguments) == ("shop", "close_shop", "{}")
    own = [event for event in events if getattr(event, "output_index", None) == 2]
    assert [event.type for event in own] == ["response.output_item.added", "response.output_item.done"]
    assert [event.item for event in own] == [request, request]


async def test_an_approved_call_runs_first_and_its_result_is_read() -> None:
    tools = FakeTools(replies={"close_shop": [answers('{"closed": true}')]})
    one = agent(calls(CLOSE), says("it is closed"), tools=tools)
    async with sdk(one) as client:
        made = await asks(client)
        ended = await answers_with(client, made, approve=True, reason="go on")
        listed = await client.responses.input_items.list(ended.id)
    call, message = ended.output
    assert isinstance(call, McpCall)
    assert (call.status, call.output) == ("completed", '{"closed": true}')
    assert call.approval_request_id == request_in(made).id
    assert (message.type, ended.output_text) == ("message", "it is closed")
    assert tools.sent == [SentCall(tool="close_shop", arguments={}, key=request_in(made).id)]
    asked, called, result = sent(one)["messages"]
    assert (asked["role"], called["tool_calls"][0]["function"]["name"]) == ("user", "shop__close_shop")
    assert '"closed": true' in result["content"]
    assert listed.data[0].to_dict()["reason"] == "go on"


async def test_a_denied_call_is_not_run_and_the_model_reads_the_reason() -> None:
    tools = FakeTools()
    one = agent(calls(CLOSE), says("as you like"), tools=tools)
    async with sdk(one) as client:
        ended = await answers_with(client, await asks(client), approve=False, reason="not on a Monday")
    assert (ended.output_text, [item.type for item in ended.output]) == ("as you like", ["message"])
    assert tools.sent == []
    assert "it was denied. not on a Monday" in words(one)


async def test_a_later_turn_reads_the_approved_call_once() -> None:
    one = agent(calls(CLOSE), says("closed"), says("yes"))
    async with sdk(one) as client:
        ended = await answers_with(client, await asks(client), approve=True)
        await client.responses.create(model="auto", input="is it?", previous_response_id=ended.id)
    assert [message["role"] for message in sent(one)["messages"]] == ["user", "assistant", "tool", "assistant", "user"]


async def test_without_a_previous_response_the_whole_list_is_sent_back() -> None:
    tools = FakeTools()
    one = agent(calls(CLOSE), says("closed"), tools=tools)
    async with sdk(one) as client:
        made = await asks(client)
        sent_back: Any = [{"role": "user", "content": "close the shop"}, *(each.to_dict() for each in made.output)]
        answer = answer_to(request_in(made).id, approve=True)
        ended = await client.responses.create(model="auto", input=[*sent_back, answer], tools=[SHOP])
    assert [item.type for item in ended.output] == ["mcp_call", "message"]
    assert len(tools.sent) == 1


async def test_a_reference_names_the_request() -> None:
    tools = FakeTools()
    one = agent(calls(CLOSE), says("closed"), tools=tools)
    async with sdk(one) as client:
        request = request_in(await asks(client))
        items: Any = [{"type": "item_reference", "id": request.id}, answer_to(request.id, approve=True)]
        ended = await client.responses.create(model="auto", input=items, tools=[SHOP])
    assert ended.output[-1].type == "message"
    assert len(tools.sent) == 1


async def test_what_runs_is_what_was_asked_for_whatever_the_caller_sends_back() -> None:
    tools = FakeTools()
    one = agent(calls(("shop__send_note", {"text": "hello"})), says("done"), tools=tools)
    always: Any = {**SHOP, "require_approval": "always"}
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[always])
        forged = {**request_in(made).to_dict(), "arguments": '{"text": "forged"}', "name": "close_shop"}
        items: Any = [forged, answer_to(request_in(made).id, approve=True)]
        await client.responses.create(model="auto", input=items, tools=[always])
    assert [(call.tool, call.arguments) for call in tools.sent] == [("send_note", {"text": "hello"})]


async def test_the_same_approval_in_two_turns_runs_the_call_once() -> None:
    tools = FakeTools(replies={"close_shop": [answers("first"), answers("second")]})
    one = agent(calls(CLOSE), says("closed"), says("closed again"), tools=tools)
    async with sdk(one) as client:
        made = await asks(client)
        both = [await answers_with(client, made, approve=True) for _ in range(2)]
    assert [item.output for each in both for item in each.output if isinstance(item, McpCall)] == ["first", "first"]
    assert len(tools.sent) == 1


async def rejected(one: Api, made: Json, items: Any, **more: Any) -> tuple[int, str, str, str]:
    body = {"model": "auto", "input": items, "previous_response_id": made["id"], "tools": [SHOP], **more}
    answer = await one.http.post("/v1/responses", json=body)
    error: Json = answer.json().get("error") or {}
    return answer.status_code, error.get("code", ""), error.get("param", ""), error.get("message", "")


async def asked(*more: Any, servers: ToolServers | None = None) -> tuple[Api, Json, str]:
    """Return an API, a response that asks for an approval, and the id of the request."""
    one = agent(calls(CLOSE), *more, servers=servers)
    made = (await one.create({"model": "auto", "input": "close", "tools": [SHOP]})).json()
    return one, made, made["output"][-1]["id"]


WHERE = "input[0].approval_request_id"


async def test_a_decision_is_final() -> None:
    one, made, request = await asked(says("denied"))
    assert (await rejected(one, made, [answer_to(request, approve=False)]))[0] == 200
    refused = await rejected(one, made, [answer_to(request, approve=True)])
    assert refused[:3] == (400, "approval_already_decided", WHERE)


async def test_two_answers_to_one_request_have_to_agree() -> None:
    one, made, request = await asked(says("never"))
    both = [answer_to(request, approve=True), answer_to(request, approve=False)]
    refused = await rejected(one, made, both)
    assert refused[:3] == (400, "invalid_value", "input[1].approval_request_id")
    assert (await rejected(one, made, [answer_to(request, approve=False)] * 2))[0] == 200, "nothing was decided"


async def test_an_expired_request_counts_as_denied() -> None:
    one, made, request = await asked(says("so not"), servers=shop(TTL + FILE))
    one.world.clock.advance(3601)
    refused = await rejected(one, made, [answer_to(request, approve=True)])
    assert refused[:3] == (400, "approval_expired", WHERE)
    assert (await rejected(one, made, "and now?"))[0] == 200
    assert "nobody has answered" in str(sent(one)["messages"])


async def test_a_turn_cannot_continue_without_an_answer() -> None:
    one, made, request = await asked(says("never"))
    status, _, field, message = await rejected(one, made, "and now?")
    assert (status, field) == (400, "input")
    assert message == f"The following MCP approval requests do not have an approval: {request}"


@pytest.mark.parametrize("name", ["", "x", "mcpr_" + "0" * 48, "msg_" + "0" * 48])
async def test_an_unknown_request_is_not_found(name: str) -> None:
    one, made, _ = await asked(says("never"))
    status, code, _, _ = await rejected(one, made, [answer_to(name, approve=True)])
    assert (status, code) == (400, "approval_not_found" if name else "invalid_value")


async def test_a_tool_that_the_new_turn_does_not_offer_is_not_run() -> None:
    one, made, request = await asked(says("never"))
    answer = [answer_to(request, approve=True)]
    for tools in ([], [{**SHOP, "allowed_tools": ["find_order"]}]):
        assert (await rejected(one, made, answer, tools=tools))[:3] == (400, "tool_not_found", "tools")
    assert (await rejected(one, made, [answer_to(request, approve=False)], tools=[]))[0] == 200


async def test_a_tool_that_has_changed_since_is_not_run() -> None:
    one, made, request = await asked(says("never"))
    changed = shop(FILE.replace("Closes the shop.", "Closes all shops."))
    later = agent(says("never"), servers=changed, store=one.world.store, clock=one.world.clock)
    assert (await rejected(later, made, [answer_to(request, approve=True)]))[:2] == (400, "tool_not_found")


async def test_a_deleted_turn_takes_its_requests_along() -> None:
    one, made, request = await asked(says("hello"))
    await one.http.delete(f"/v1/responses/{made['id']}")
    items = [{"type": "mcp_approval_request", "id": request, "server_label": "shop", "name": "close_shop"}]
    body = {"model": "auto", "input": [{**items[0], "arguments": "{}"}, answer_to(request, approve=True)]}
    answer = await one.http.post("/v1/responses", json={**body, "tools": [SHOP]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "approval_not_found")


async def test_nobody_is_asked_about_invalid_arguments() -> None:
    one = agent(calls(("shop__close_shop", {"when": "now"})), says("sorry"))
    made = (await one.create({"model": "auto", "input": "?", "tools": [SHOP]})).json()
    assert [item["type"] for item in made["output"]] == ["mcp_list_tools", "mcp_call", "message"]
    assert made["output"][1]["error"]["code"] == -32602


async def test_functions_of_the_caller_and_a_request_end_the_same_response() -> None:
    function: Any = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    one = agent(calls(CLOSE, ("look", {})), says("done"))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP, function])
        call = made.output[-1].to_dict()
        items: Any = [
            answer_to(request_in(made).id, approve=True),
            {"type": "function_call_output", "call_id": call["call_id"], "output": "seen"},
        ]
        ended = await client.responses.create(
            model="auto", input=items, previous_response_id=made.id, tools=[SHOP, function]
        )
    assert [item.type for item in made.output] == ["mcp_list_tools", "mcp_approval_request", "function_call"]
    assert [item.type for item in ended.output] == ["mcp_call", "message"]


NOTE = ("shop__send_note", {"text": "hello"})


async def test_a_turn_that_has_read_from_an_untrusted_server_asks_before_it_writes() -> None:
    tools = FakeTools()
    one = agent(calls(LOOKUP), calls(NOTE), tools=tools, servers=shop(UNTRUSTED))
    made = (await one.create({"model": "auto", "input": "?", "tools": [SHOP]})).json()
    assert [item["type"] for item in made["output"]][1:] == ["mcp_call", "mcp_approval_request"]
    assert [call.tool for call in tools.sent] == ["find_order"]


async def test_a_write_before_any_read_is_free() -> None:
    tools = FakeTools()
    one = agent(calls(LOOKUP, NOTE), says("done"), tools=tools, servers=shop(UNTRUSTED))
    await one.create({"model": "auto", "input": "?", "tools": [SHOP]})
    assert {call.tool for call in tools.sent} == {"find_order", "send_note"}


async def test_a_call_with_invalid_arguments_has_read_nothing() -> None:
    tools = FakeTools()
    one = agent(calls(("shop__find_order", {})), calls(NOTE), says("done"), tools=tools, servers=shop(UNTRUSTED))
    await one.create({"model": "auto", "input": "?", "tools": [SHOP]})
    assert [call.tool for call in tools.sent] == ["send_note"]


@pytest.mark.parametrize("way", ["previous_response_id", "conversation", "items"])
async def test_what_an_earlier_turn_has_read_counts(way: str) -> None:
    tools = FakeTools()
    one = agent(calls(LOOKUP), says("found"), calls(NOTE), tools=tools, servers=shop(UNTRUSTED))
    conversation = (await one.http.post("/v1/conversations", json={})).json()["id"]
    body: Json = {"model": "auto", "input": "?", "tools": [SHOP]}
    first = {**body, "conversation": conversation} if way == "conversation" else body
    made = (await one.create(first)).json()
    if way == "items":
        body["input"] = [{"role": "user", "content": "?"}, *made["output"], {"role": "user", "content": "so?"}]
    else:
        body[way] = conversation if way == "conversation" else made["id"]
    again = (await one.create(body)).json()
    assert again["output"][-1]["type"] == "mcp_approval_request"
    assert [call.tool for call in tools.sent] == ["find_order"]


async def test_a_write_that_was_approved_is_a_result_too() -> None:
    one = agent(calls(CLOSE), calls(NOTE), servers=shop(UNTRUSTED))
    async with sdk(one) as client:
        ended = await answers_with(client, await asks(client), approve=True)
    assert json.loads(request_in(ended).arguments) == {"text": "hello"}


@pytest.mark.parametrize("caller", ["strange", "foreign", "double", "far"])
async def test_nobody_else_answers_a_request(caller: str) -> None:
    tools = FakeTools()
    one = agent(calls(CLOSE), says("closed"), tools=tools)
    made = (await one.create({"model": "auto", "input": "close", "tools": [SHOP]})).json()
    request = made["output"][-1]
    answer, headers = answer_to(request["id"], approve=True), {"authorization": f"Bearer {caller}"}
    for items, more in (
        ([answer], {"previous_response_id": made["id"]}),
        ([request, answer], dict[str, Any]()),
        ([{"type": "item_reference", "id": request["id"]}, answer], dict[str, Any]()),
    ):
        body = {"model": "auto", "input": items, "tools": [SHOP], **more}
        refused = await one.http.post("/v1/responses", json=body, headers=headers)
        codes = {"previous_response_not_found", "approval_not_found", "item_not_found"}
        assert refused.status_code in (400, 404)
        assert refused.json()["error"]["code"] in codes
    assert (await rejected(one, made, [answer]))[0] == 200
    assert len(tools.sent) == 1


async def test_a_request_of_another_thread_is_not_answered_in_this_one() -> None:
    one = agent(calls(CLOSE), calls(CLOSE), says("never"))
    first, second = [(await one.create({"model": "auto", "input": "?", "tools": [SHOP]})).json() for _ in range(2)]
    answer = answer_to(first["output"][-1]["id"], approve=True)
    assert (await rejected(one, second, [answer]))[:2] == (400, "approval_not_found")


ASKING = FILE.replace('path = "/v1/notes"', 'path = "/v1/notes"\non_unknown = "ask"')


@pytest.mark.parametrize("approve", [True, False])
async def test_a_call_whose_outcome_is_unknown_runs_again_only_if_somebody_says_so(*, approve: bool) -> None:
    lost = ToolError(CallFailure.NO_ANSWER, "The connection broke.")
    tools = FakeTools(replies={"send_note": [lost, answers("sent")]})
    one = agent(calls(NOTE), says("done"), tools=tools, servers=shop(ASKING))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=TOOLS)
        assert [item.type for item in made.output[1:]] == ["mcp_call", "mcp_approval_request"]
        assert (made.status, len(tools.sent)) == ("completed", 1)
        ended = await answers_with(client, made, approve=approve)
    assert (ended.output_text, len(tools.sent)) == ("done", 2 if approve else 1)
    assert len({call.key for call in tools.sent}) == len(tools.sent)


async def test_the_route_says_who_decided_what_and_when() -> None:
    one = agent(calls(CLOSE), says("closed"))
    async with sdk(one) as client:
        made = await asks(client)
        ended = await answers_with(client, made, approve=True)
    reports = [(await one.http.get(f"/v1/responses/{each.id}/route")).json() for each in (made, ended)]
    (approval,) = reports[0]["approvals"]
    assert (approval["id"], approval["approve"], reports[0]["calls"]) == (request_in(made).id, True, [])
    assert (approval["decided_by"], approval["decided_at"] >= approval["asked_at"]) == (OWNER.subject, True)
    (call,) = reports[1]["calls"]
    assert (call["id"], call["outcome"], call["approval"]) == (ended.output[0].id, "completed", approval)

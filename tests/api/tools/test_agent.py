"""Does a model use tools that the server runs, as the unmodified SDK sees it?"""

import json
from typing import Any

from openai.types.responses import ResponseOutputItem
from openai.types.responses.response_output_item import McpCall, McpListTools

from clients.backends.port import AnswerEnd
from clients.tools.port import CallFailure, ToolError
from domain.content.tools import FunctionCall
from domain.log.events import TokenUsage
from tests.api.test_sdk import sdk
from tests.api.tools.agents import SHOP, InsistentModel, agent, calls, sent
from tests.fakes.backends import Act, says
from tests.fakes.tools import FILE, FakeTools, SentCall, shop
from tests.fakes.tools import says as answers

FOUND = json.dumps({"number": "A-1", "status": "on its way"})
LOOKUP = calls(("shop__find_order", {"number": "A-1"}))
LIST_EVENTS = [
    "response.output_item.added",
    "response.mcp_list_tools.in_progress",
    "response.mcp_list_tools.completed",
    "response.output_item.done",
]
OPENING = [
    "response.output_item.added",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
]
ENDING = ["response.mcp_call.completed", "response.output_item.done"]


def mcp_call(item: ResponseOutputItem) -> McpCall:
    assert isinstance(item, McpCall)
    return item


async def test_a_turn_looks_something_up_and_answers_from_it() -> None:
    tools = FakeTools(replies={"find_order": [answers(FOUND)]})
    one = agent(LOOKUP, says("it is on its way"), tools=tools)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="where is A-1?", tools=[SHOP])
        assert await client.responses.retrieve(made.id) == made
    assert (made.status, made.output_text) == ("completed", "it is on its way")
    listed, called, message = made.output
    assert isinstance(listed, McpListTools)
    assert [each.name for each in listed.tools] == ["find_order", "refund_order", "send_note", "close_shop"]
    call = mcp_call(called)
    assert (call.server_label, call.name, call.status, call.output, call.error) == (
        "shop",
        "find_order",
        "completed",
        FOUND,
        None,
    )
    assert json.loads(call.arguments) == {"number": "A-1"}
    assert message.type == "message"
    assert tools.sent == [SentCall(tool="find_order", arguments={"number": "A-1"}, key=call.id)]
    assert made.usage
    assert (made.usage.input_tokens, made.usage.output_tokens) == (11 + 7, 5 + 5)
    assert made.tools[0].to_dict() == SHOP


async def test_the_stream_has_the_events_of_the_list_the_call_and_the_answer_in_their_order() -> None:
    one = agent(LOOKUP, says("it is on its way"), tools=FakeTools(replies={"find_order": [answers(FOUND)]}))
    async with sdk(one) as client:
        stream = await client.responses.create(model="auto", input="where is A-1?", tools=[SHOP], stream=True)
        events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    types = [event.type for event in events]
    assert types[: 2 + len(LIST_EVENTS + OPENING + ENDING)] == [
        "response.created",
        "response.in_progress",
        *LIST_EVENTS,
        *OPENING,
        *ENDING,
    ]
    assert types[-1] == "response.completed"
    added: Any = events[2 + len(LIST_EVENTS)].to_dict()["item"]
    assert (added["status"], added["arguments"], added["output"], added["error"]) == ("in_progress", "", None, None)


async def test_the_sdks_own_helper_gathers_the_items() -> None:
    one = agent(LOOKUP, says("it is on its way"), tools=FakeTools(replies={"find_order": [answers(FOUND)]}))
    async with sdk(one) as client, client.responses.stream(model="auto", input="?", tools=[SHOP]) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_response()
    assert [item.type for item in final.output] == ["mcp_list_tools", "mcp_call", "message"]


async def test_the_model_reads_its_calls_and_their_marked_results() -> None:
    one = agent(LOOKUP, says("it is on its way"), tools=FakeTools(replies={"find_order": [answers(FOUND)]}))
    async with sdk(one) as client:
        await client.responses.create(model="auto", input="where is A-1?", tools=[SHOP])
    asked, call, result = sent(one)["messages"]
    assert asked == {"role": "user", "content": "where is A-1?"}
    function = call["tool_calls"][0]
    assert function["function"]["name"] == "shop__find_order"
    assert (result["role"], result["tool_call_id"]) == ("tool", function["id"])
    opening, line, closing = result["content"].splitlines()
    assert json.loads(line) == json.loads(FOUND)
    assert opening.startswith("[tool result ")
    assert closing == f"[end of tool result {opening.split()[2].rstrip(']')}]"
    assert [tool["function"]["name"] for tool in sent(one, 0)["tools"]] == [
        "shop__find_order",
        "shop__refund_order",
        "shop__send_note",
        "shop__close_shop",
    ]


async def test_calls_of_one_round_run_together_and_each_has_its_item() -> None:
    names = ("shop__find_order", "shop__refund_order", "shop__send_note")
    given: list[dict[str, Any]] = [{"number": "A-1"}, {"number": "A-2"}, {"text": "hello"}]
    tools = FakeTools()
    async with sdk(agent(calls(*zip(names, given, strict=True)), says("all done"), tools=tools)) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert [item.type for item in made.output] == ["mcp_list_tools", "mcp_call", "mcp_call", "mcp_call", "message"]
    assert [each.arguments for each in sorted(tools.sent, key=lambda each: each.tool)] == given
    assert len({each.key for each in tools.sent}) == 3


async def test_a_turn_has_several_rounds_and_keeps_the_text_of_each() -> None:
    first = [*says("let me look")[:-1], *LOOKUP]
    one = agent(first, LOOKUP, says("it is on its way"))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    kinds = [item.type for item in made.output]
    assert kinds == ["mcp_list_tools", "message", "mcp_call", "mcp_call", "message"]
    assert made.output_text == "let me lookit is on its way"
    assert [message["role"] for message in sent(one)["messages"]] == ["user", *["assistant", "tool"] * 2]


async def test_the_next_turn_reads_the_calls_and_does_not_list_the_tools_again() -> None:
    one = agent(LOOKUP, says("it is on its way"), says("as I said"))
    async with sdk(one) as client:
        first = await client.responses.create(model="auto", input="where is A-1?", tools=[SHOP])
        again = await client.responses.create(model="auto", input="sure?", tools=[SHOP], previous_response_id=first.id)
    assert [item.type for item in again.output] == ["message"]
    assert [message["role"] for message in sent(one)["messages"]] == ["user", "assistant", "tool", "assistant", "user"]


async def test_items_of_calls_are_taken_as_input_whole_and_by_reference() -> None:
    one = agent(LOOKUP, says("it is on its way"), says("as I said"))
    async with sdk(one) as client:
        first = await client.responses.create(model="auto", input="where is A-1?", tools=[SHOP])
        whole: Any = [{"role": "user", "content": "?"}, *(item.to_dict() for item in first.output)]
        await client.responses.create(model="auto", input=whole)
        by_name: Any = [{"type": "item_reference", "id": item.id} for item in first.output]
        last = await client.responses.create(model="auto", input=by_name)
        listed = [item.type async for item in client.responses.input_items.list(last.id, order="asc")]
    assert listed == ["mcp_list_tools", "mcp_call", "message"]
    roles = ["user", "assistant", "tool", "assistant", "user"]
    assert [message["role"] for message in sent(one, 2)["messages"]] == roles
    assert [message["role"] for message in sent(one, 3)["messages"]] == roles[1:]


async def test_the_callers_functions_are_handed_back_after_the_servers_tools_have_run() -> None:
    mine: Any = {"type": "function", "name": "mine", "parameters": {"type": "object", "properties": {}}}
    one = agent(calls(("shop__find_order", {"number": "A-1"}), ("mine", {})), says("never asked"))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP, mine])
        output: Any = {"type": "function_call_output", "call_id": "", "output": "ok"}
        listed, called, function = made.output
        assert mcp_call(called).status == "completed"
        assert function.type == "function_call"
        output["call_id"] = function.call_id
        await client.responses.create(model="auto", input=[output], previous_response_id=made.id, tools=[SHOP, mine])
    assert (made.status, listed.type) == ("completed", "mcp_list_tools")
    _, call, first, second = sent(one)["messages"][:4]
    assert [each["function"]["name"] for each in call["tool_calls"]] == ["shop__find_order", "mine"]
    assert [first["tool_call_id"], second["tool_call_id"]] == [each["id"] for each in call["tool_calls"]]


def call_as_written(arguments: str) -> list[Act]:
    call = FunctionCall(name="shop__find_order", arguments=arguments, call_id="call_0")
    return [AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=11, output_tokens=5), calls=(call,))]


async def repeated(*results: str, rounds: int) -> tuple[FakeTools, list[McpCall]]:
    """Run a turn whose model makes the same call in so many rounds; return what was sent and the calls."""
    tools = FakeTools(replies={"find_order": [answers(result) for result in results]})
    texts = ['{"number": "A-1"}', '{ "number":"A-1" }']
    async with sdk(
        agent(*[call_as_written(texts[at % 2]) for at in range(rounds)], says("done"), tools=tools)
    ) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert (made.status, made.output_text) == ("completed", "done")
    return tools, [item for item in made.output if isinstance(item, McpCall)]


async def test_the_same_call_with_the_same_result_is_not_run_a_third_time() -> None:
    tools, made = await repeated("pending", rounds=4)
    assert len(tools.sent) == 2
    assert [call.status for call in made] == ["completed", "completed", "failed", "failed"]
    assert "made twice before, with the same result" in str(made[2].error)


async def test_the_same_call_is_run_again_while_its_result_changes() -> None:
    tools, made = await repeated("one", "two", "one", "three", "three", rounds=6)
    assert len(tools.sent) == 5
    assert [call.status for call in made] == ["completed"] * 5 + ["failed"]


async def test_equal_calls_of_one_round_all_run() -> None:
    tools = FakeTools()
    async with sdk(agent(calls(*[("shop__find_order", {"number": "A-1"})] * 4), says("done"), tools=tools)) as client:
        await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert len(tools.sent) == 4


async def test_wrong_arguments_return_to_the_model_twice_and_then_it_has_to_answer() -> None:
    tools, wrong = FakeTools(), calls(("shop__find_order", {}))
    one = agent(wrong, LOOKUP, wrong, wrong, says("sorry"), tools=tools)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert (made.status, made.output_text) == ("completed", "sorry")
    assert (made.metadata or {})["ganglion_ending"] == "invalid_arguments"
    assert len(tools.sent) == 1
    assert "tools" in sent(one, 3)
    assert "tools" not in sent(one, 4)
    error = mcp_call(made.output[1]).error
    assert error
    assert "required, but missing" in str(error)
    assert "required, but missing" in sent(one, 1)["messages"][-1]["content"]


async def test_a_turn_of_many_rounds_goes_on_in_a_new_history_and_loses_nothing() -> None:
    tools, rounds = FakeTools(), 25
    scripts = [calls(("shop__find_order", {"number": f"A-{number}"})) for number in range(rounds)]
    short = FILE.replace('effect = "read"', 'effect = "read"\nmax_result_tokens = 100')
    one = agent(*scripts, says("done"), tools=tools, servers=shop(f"[limits]\nmax_rounds = 64\n{short}"))
    async with sdk(one) as client:
        only: Any = {**SHOP, "allowed_tools": ["find_order"]}
        made = await client.responses.create(model="auto", input="?", tools=[only])
    assert (made.status, made.output_text) == ("completed", "done")
    assert [each.arguments["number"] for each in tools.sent] == [f"A-{number}" for number in range(rounds)]
    assert made.usage
    assert made.usage.input_tokens == 11 * rounds + 7
    route = (await one.http.get(f"/v1/responses/{made.id}/route")).json()
    assert len(route["attempts"]) == rounds + 1


async def test_a_turn_stops_where_an_outcome_is_unknown_and_the_file_says_so() -> None:
    lost = ToolError(CallFailure.NO_ANSWER, "The server gave no answer.")
    text = FILE.replace('path = "/v1/notes"', 'path = "/v1/notes"\non_unknown = "stop"')
    one = agent(
        calls(("shop__send_note", {"text": "hello"})),
        says("never asked"),
        tools=FakeTools(replies={"send_note": [lost]}),
        servers=shop(text),
    )
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert (made.status, made.error and made.error.code) == ("failed", "server_error")
    assert "outcome of one of its calls is unknown" in str(made.error)
    assert mcp_call(made.output[-1]).status == "incomplete"


async def test_old_results_are_left_out_before_old_turns_and_the_model_reads_the_same() -> None:
    found = json.dumps({"number": "A-1", "notes": "lorem ipsum " * 150})
    tools = FakeTools(replies={"find_order": [answers(found)]})
    one = agent(*[LOOKUP, says("it is on its way")] * 8, tools=tools)
    async with sdk(one) as client:
        last = None
        for number in range(8):
            last = await client.responses.create(
                model="auto",
                input=f"question {number}",
                tools=[SHOP],
                previous_response_id=last.id if last else None,
                truncation="auto",
                max_output_tokens=256,
            )
    assert last
    notes = last.metadata or {}
    assert notes["ganglion_results_left_out"].startswith("the oldest ")
    assert "ganglion_left_out" not in notes
    count = int(notes["ganglion_results_left_out"].split()[2])
    messages = sent(one)["messages"]
    results = [message["content"] for message in messages if message["role"] == "tool"]
    assert ["left out" in each for each in results] == [True] * count + [False] * (8 - count)
    assert [each["content"] for each in messages if each["role"] == "user"] == [f"question {n}" for n in range(8)]


async def test_the_items_have_the_fields_that_strict_kits_expect() -> None:
    """All fields of a call are there; the list has an error only where there is one (the AI SDK rejects null)."""
    one = agent(LOOKUP, says("done"), tools=FakeTools(replies={"find_order": [answers(FOUND)]}))
    made = (await one.create({"model": "auto", "input": "?", "tools": [SHOP]})).json()
    listed, call, _ = made["output"]
    assert set(listed) == {"id", "type", "server_label", "tools"}
    assert set(call) == {
        "id",
        "type",
        "status",
        "server_label",
        "name",
        "arguments",
        "output",
        "error",
        "approval_request_id",
    }


async def test_a_turn_whose_results_fill_the_context_window_answers_before_it_is_full() -> None:
    result = answers("lorem ipsum dolor " * 120)
    one = agent(main=InsistentModel(), tools=FakeTools(replies={"find_order": [result]}))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert (made.status, made.output_text) == ("completed", "what I know")
    assert (made.metadata or {})["ganglion_ending"] == "context"
    assert [item.type for item in made.output].count("mcp_call") >= 2

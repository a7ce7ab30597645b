"""What becomes of tools that are not plain functions: custom tools, namespaces, and tools of other services?"""

import json
from copy import replace
from typing import Any

import pytest

from api.parsing.responses_request import request_from_openai
from clients.backends.chat_request import request_body
from clients.backends.port import AnswerEnd
from domain.content.capabilities import Capability
from domain.content.tools import FunctionCall
from domain.errors import Invalid
from tests.api.abilities.test_tools import WEATHER, by_schema, native
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import backend

pytestmark = pytest.mark.slow

type Json = dict[str, Any]

PATCH = "*** Begin Patch\n*** Add File: a.txt\n+hi\n*** End Patch"
APPLY: Any = {
    "type": "custom",
    "name": "apply",
    "description": "Applies a patch.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
}
SHOUT: Any = {"type": "custom", "name": "shout"}
AGENTS: Any = {
    "type": "namespace",
    "name": "agents",
    "description": "Manages sub-agents.",
    "tools": [{"type": "function", "name": "spawn"}, {"type": "function", "name": "close"}, SHOUT],
}
CLOSE: Any = {"type": "function", "name": "close"}


def calls(name: str, arguments: Json) -> list[Any]:
    call = FunctionCall(name=name, arguments=json.dumps(arguments), call_id="call_1")
    return [AnswerEnd(reason="stop", usage=None, calls=(call,))]


def sent(one: Api, number: int = -1) -> Json:
    """Return the body of the request to the backend."""
    _, fake = one.world.backends["main"]
    assert isinstance(fake, FakeBackend)
    return request_body(backend("main"), fake.calls[number])


async def test_a_custom_tool_is_a_function_with_one_text_for_the_model_and_a_custom_call_for_the_caller() -> None:
    one = native(calls("apply", {"input": PATCH}))
    async with sdk(one) as client:
        stream = await client.responses.create(model="auto", input="patch", tools=[APPLY], stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events[2:-1]] == [
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
    ]
    assert events[3].to_dict()["delta"] == events[4].to_dict()["input"] == PATCH
    last = events[-1]
    assert last.type == "response.completed"
    call = last.response.output[0]
    assert call.type == "custom_tool_call"
    assert (call.name, call.input, call.call_id) == ("apply", PATCH, "call_1")
    assert last.response.tools[0].to_dict() == APPLY
    function = sent(one)["tools"][0]["function"]
    assert function["parameters"]["required"] == ["input"]
    assert "lark" in function["description"]
    assert "start: /.+/" in function["description"]


async def test_a_custom_call_and_its_output_continue_the_conversation() -> None:
    one = native(calls("apply", {"input": PATCH}), says("done"), says("again"))
    output: Any = {"type": "custom_tool_call_output", "call_id": "call_1", "output": "applied"}
    async with sdk(one) as client:
        first = await client.responses.create(model="auto", input="patch", tools=[APPLY])
        await client.responses.create(model="auto", input=[output], tools=[APPLY], previous_response_id=first.id)
        replayed: Any = [{"role": "user", "content": "patch"}, first.output[0].to_dict(), output]
        last = await client.responses.create(model="auto", input=replayed, tools=[APPLY])
        listed = [item.to_dict() async for item in client.responses.input_items.list(last.id, order="asc")]
    for number in (1, 2):
        call, result = sent(one, number)["messages"][1:3]
        assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"input": PATCH}
        assert result == {"role": "tool", "tool_call_id": "call_1", "content": "applied"}
    assert [item["type"] for item in listed] == ["message", "custom_tool_call", "custom_tool_call_output"]
    assert listed[1]["input"] == PATCH


async def test_a_model_held_to_a_schema_calls_a_custom_tool() -> None:
    answer = {"calls": [{"name": "shout", "arguments": {"input": "HEY"}}]}
    async with sdk(by_schema(says(json.dumps(answer)))) as client:
        made = await client.responses.create(
            model="auto", input="hi", tools=[SHOUT], tool_choice={"type": "custom", "name": "shout"}
        )
    assert made.output[0].to_dict()["input"] == "HEY"
    assert made.to_dict()["tool_choice"] == {"type": "custom", "name": "shout"}


@pytest.mark.parametrize("arguments", ["", "not JSON", '{"text": "x"}', '{"input": 1}', "[]"])
async def test_arguments_without_an_input_are_the_input(arguments: str) -> None:
    call = FunctionCall(name="shout", arguments=arguments, call_id="call_1")
    async with sdk(native([AnswerEnd(reason="stop", usage=None, calls=(call,))])) as client:
        made = await client.responses.create(model="auto", input="hi", tools=[SHOUT])
    assert made.output[0].to_dict()["input"] == arguments


async def test_a_namespace_is_flat_for_the_model_and_mapped_back_for_the_caller() -> None:
    one = native(calls("agents__close", {"id": 1}), says("closed"))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="close", tools=[AGENTS, CLOSE])
        call = made.output[0]
        assert call.type == "function_call"
        assert (call.namespace, call.name, json.loads(call.arguments)) == ("agents", "close", {"id": 1})
        result: Any = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
        again: Any = [{"role": "user", "content": "close"}, call.to_dict(), result]
        await client.responses.create(model="auto", input=again, tools=[AGENTS])
        stored = await client.responses.retrieve(made.id)
    assert stored.output == made.output
    assert [tool.type for tool in made.tools] == ["namespace", "function"]
    assert [tool["function"]["name"] for tool in sent(one, 0)["tools"]] == [
        "agents__spawn",
        "agents__close",
        "agents__shout",
        "close",
    ]
    assert "Manages sub-agents." in sent(one, 0)["tools"][0]["function"]["description"]
    assert sent(one)["messages"][1]["tool_calls"][0]["function"]["name"] == "agents__close"


async def test_a_custom_tool_in_a_namespace_keeps_both() -> None:
    async with sdk(native(calls("agents__shout", {"input": "HEY"}))) as client:
        made = await client.responses.create(model="auto", input="hi", tools=[AGENTS])
    call = made.output[0]
    assert call.type == "custom_tool_call"
    assert (call.namespace, call.name, call.input) == ("agents", "shout", "HEY")


HOSTED: list[Json] = [
    {"type": "web_search", "external_web_access": False},
    {"type": "web_search_preview_2025_03_11"},
    {"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "linux"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "image_generation"},
    {"type": "local_shell"},
    {"type": "shell"},
    {"type": "apply_patch"},
    {"type": "tool_search"},
]


@pytest.mark.parametrize("tool", HOSTED, ids=lambda tool: tool["type"])
async def test_a_tool_that_this_service_cannot_run_is_left_out_and_named(tool: Json) -> None:
    one = native(says("hello"))
    made = await one.create({"input": "hi", "tools": [tool, WEATHER]})
    assert (made.status_code, made.headers["x-ganglion-ignored"]) == (200, f"tools.{tool['type']}")
    assert [each["function"]["name"] for each in sent(one)["tools"]] == ["weather"]
    assert [each["type"] for each in made.json()["tools"]] == ["function"]


@pytest.mark.parametrize("tool", HOSTED, ids=lambda tool: tool["type"])
def test_it_is_rejected_by_name_where_the_caller_says_so(tool: Json) -> None:
    body = {"input": "hi", "tools": [WEATHER, tool], "metadata": {"unsupported_tools": "reject"}}
    with pytest.raises(Invalid, match=tool["type"]) as caught:
        request_from_openai(body)
    assert (caught.value.field, caught.value.code) == ("tools[1].type", "unsupported_parameter")


async def test_a_chat_calls_a_custom_tool() -> None:
    messages: Any = [{"role": "user", "content": "hi"}]
    tool: Any = {"type": "custom", "custom": {"name": "apply", "format": {"type": "grammar", "grammar": {}}}}
    tool["custom"]["format"]["grammar"] = {"syntax": "regex", "definition": ".+"}
    one = native(calls("apply", {"input": PATCH}), calls("apply", {"input": PATCH}), says("done"))
    async with sdk(one) as client:
        made = await client.chat.completions.create(model="auto", messages=messages, tools=[tool])
        chunks = await streamed_calls(one, messages, tool)
        assert made.choices[0].message.tool_calls
        call = made.choices[0].message.tool_calls[0]
        assert call.type == "custom"
        assert (call.custom.name, call.custom.input) == ("apply", PATCH)
        result = {"role": "tool", "tool_call_id": call.id, "content": "applied"}
        messages += [made.choices[0].message.to_dict(), result]
        await client.chat.completions.create(model="auto", messages=messages, tools=[tool])
    assert (chunks[0]["custom"], chunks[0]["type"]) == ({"name": "apply", "input": ""}, "custom")
    assert chunks[1]["custom"] == {"input": PATCH}
    assert ".+" in sent(one)["tools"][0]["function"]["description"]
    assert json.loads(sent(one)["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {"input": PATCH}


async def streamed_calls(one: Api, messages: Any, tool: Any) -> list[Json]:
    """Return the parts of calls in a stream; the SDK has no type for those of a custom call."""
    body = {"messages": messages, "tools": [tool], "stream": True}
    stream = (await one.http.post("/v1/chat/completions", json=body)).text
    chunks = [json.loads(line.removeprefix("data: ")) for line in stream.split("\n\n") if line.startswith("data: {")]
    return [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]


def test_tools_need_a_model_that_can_call() -> None:
    request = request_from_openai({"input": "hi", "tools": [AGENTS]})
    assert request.needs == {Capability.TOOLS}
    assert replace(request.tool_config, functions=()).required_capabilities == frozenset()

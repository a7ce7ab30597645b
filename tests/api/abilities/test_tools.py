"""Do function calls work with the official SDK, with native tools and with a JSON schema?"""

import json
from collections.abc import Callable
from copy import replace
from typing import Any

import openai
import pytest

from clients.backends.port import AnswerEnd, BackendClient, TextPiece
from domain.content.capabilities import Capability
from domain.content.items import ItemKind
from domain.content.tools import FunctionCall
from tests.api.harness import Api, api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, interrupted, says

PARAMETERS: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
CHAT_WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
ARGUMENTS = '{"city": "Rome"}'
CALLS = json.dumps({"calls": [{"name": "weather", "arguments": {"city": "Rome"}}]})
NATIVE = [
    AnswerEnd(reason="stop", usage=None, calls=(FunctionCall(name="weather", arguments=ARGUMENTS, call_id="call_1"),))
]


def able(fake: BackendClient, *abilities: Capability) -> Api:
    """Return an API whose model has these capabilities."""
    one = api(fake)
    model = replace(one.world.fleet.models["model"], capabilities=frozenset(abilities))
    one.world.fleet.models["model"] = model  # type: ignore[index]
    return one


def by_schema(*scripts: Any) -> Api:
    return able(FakeBackend(*scripts), Capability.JSON_SCHEMA)


def native(*scripts: Any) -> Api:
    return able(FakeBackend(*scripts), Capability.TOOLS, Capability.JSON_SCHEMA)


@pytest.mark.parametrize("fresh", [lambda: native(NATIVE), lambda: by_schema(says(CALLS))], ids=["native", "schema"])
async def test_a_function_is_called_and_its_arguments_are_one_delta(fresh: Callable[[], Api]) -> None:
    async with sdk(fresh()) as client:
        stream = await client.responses.create(model="auto", input="weather?", tools=[WEATHER], stream=True)
        events = [event async for event in stream]
    assert [event.type for event in events[2:-1]] == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    last = events[-1]
    assert last.type == "response.completed"
    called = last.response.output[0]
    assert called.type == "function_call"
    assert (called.name, json.loads(called.arguments)) == ("weather", {"city": "Rome"})
    assert last.response.tools[0].to_dict()["name"] == "weather"


async def test_a_model_with_a_schema_may_answer_with_text() -> None:
    async with sdk(by_schema(says('{"answer": "no idea"}'))) as client:
        made = await client.responses.create(model="auto", input="hi", tools=[WEATHER])
    assert made.output_text == "no idea"


async def test_an_interrupted_call_is_requested_again_and_returned_once() -> None:
    async with sdk(by_schema(interrupted(CALLS[:10]), says(CALLS))) as client:
        made = await client.responses.create(model="model@main", input="hi", tools=[WEATHER])
    assert [item.type for item in made.output] == ["function_call"]


async def test_an_answer_that_violates_the_schema_fails_the_turn() -> None:
    async with sdk(by_schema(says("I shall not"))) as client:
        made = await client.responses.create(model="auto", input="hi", tools=[WEATHER])
    assert made.status == "failed"


async def test_a_call_cut_at_its_limit_is_incomplete() -> None:
    async with sdk(by_schema(says(CALLS[:10], reason="length"))) as client:
        made = await client.responses.create(model="auto", input="hi", tools=[WEATHER])
    assert made.status == "incomplete"
    assert made.output_text == ""


async def test_text_before_a_call_is_kept() -> None:
    async with sdk(native([TextPiece(text="let me see"), *NATIVE])) as client:
        made = await client.responses.create(model="auto", input="hi", tools=[WEATHER])
    assert [item.type for item in made.output] == ["message", "function_call"]
    assert made.output_text == "let me see"


async def test_a_function_output_is_sent_to_the_model() -> None:
    one = native(NATIVE, says("sunny"))
    async with sdk(one) as client:
        first = await client.responses.create(model="auto", input="weather?", tools=[WEATHER])
        output: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "sun"}]
        second = await client.responses.create(
            model="auto", input=output, tools=[WEATHER], previous_response_id=first.id
        )
    assert second.output_text == "sunny"
    _, fake = one.world.backends["main"]
    assert isinstance(fake, FakeBackend)
    kinds = [item.kind for item in fake.calls[1].items]
    assert kinds == [ItemKind.MESSAGE, ItemKind.FUNCTION_CALL, ItemKind.FUNCTION_OUTPUT]


async def test_tools_are_rejected_where_no_model_supports_them() -> None:
    async with sdk(api()) as client:
        with pytest.raises(openai.BadRequestError, match="needs tools"):
            await client.responses.create(model="auto", input="hi", tools=[WEATHER])
        with pytest.raises(openai.BadRequestError, match="needs json_schema"):
            await client.responses.create(model="auto", input="hi", text={"format": {"type": "json_object"}})


async def test_a_chat_calls_functions() -> None:
    messages: Any = [{"role": "user", "content": "weather?"}]
    async with sdk(by_schema(says(CALLS))) as client:
        made = await client.chat.completions.create(
            model="auto", messages=messages, tools=[CHAT_WEATHER], tool_choice="required"
        )
        stream = await client.chat.completions.create(
            model="auto", messages=messages, tools=[CHAT_WEATHER], stream=True
        )
        chunks = [chunk async for chunk in stream]
    assert made.choices[0].finish_reason == "tool_calls"
    assert made.choices[0].message.tool_calls
    assert made.choices[0].message.content is None
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert deltas[0].function
    assert deltas[0].function.name == "weather"
    assert "".join(call.function.arguments or "" for call in deltas if call.function) == ARGUMENTS


ENDLESS: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string", "minLength": 5, "maxLength": 2}}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tools": {}}, "tools"),
    ({"tools": [{"type": "websearch"}]}, "tools[0].type"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
    ({"tools": [WEATHER, WEATHER]}, "tools"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": "maybe"}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "mcp"}}, "tool_choice.server_label"),
    ({"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
    ({"tools": [{"type": "function", "name": "a", "parameters": ENDLESS}]}, "tools[0].parameters"),
    ({"text": {"format": {"type": "json_schema", "name": "a", "schema": ENDLESS}}}, "text.format.schema"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
async def test_an_invalid_field_of_tools_or_format_is_named(body: dict[str, Any], field: str) -> None:
    answer = await api().create({"model": "auto", "input": "hi", **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tool_choice": {"type": "function", "name": "weather"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.allowed_tools"),
        ({"tools": [CHAT_WEATHER, {"type": "function", "name": "weather"}]}, "tools[1].function"),
        ({"response_format": {"type": "json_schema", "schema": {}}}, "response_format.json_schema"),
    ],
)
async def test_what_a_chat_has_one_level_too_high_is_missing(body: dict[str, Any], field: str) -> None:
    chat = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "tools": [CHAT_WEATHER], **body}
    error = (await api().http.post("/v1/chat/completions", json=chat)).json()["error"]
    assert (error["param"], error["code"]) == (field, "missing_required_parameter")

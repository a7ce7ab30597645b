"""Does a model without function calling answer in words where its conversation has calls and it may call none?"""

import json
from typing import Any, cast

import pytest

from domain.content.capabilities import Capability
from tests.api.abilities.test_tools import CALLS, WEATHER, able, by_schema, native
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, says

LOOKED_UP: list[Any] = [
    {"role": "user", "content": "How is the weather in Rome?"},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
]
NO_CALLS: dict[str, Any] = {
    "tool_choice none": {"tools": [WEATHER], "tool_choice": "none"},
    "no tools": {},
    "an empty list of tools": {"tools": []},
    "any JSON": {"text": {"format": {"type": "json_object"}}},
}


@pytest.mark.parametrize("fields", NO_CALLS.values(), ids=NO_CALLS)
async def test_the_answer_after_a_result_is_read_out_of_its_envelope(fields: Any) -> None:
    answer: Any = {"sky": "blue"} if "text" in fields else "It is sunny."
    async with sdk(by_schema(says(json.dumps({"answer": answer})))) as client:
        made = await cast("Any", client.responses).create(model="auto", input=LOOKED_UP, **fields)
    assert made.status == "completed"
    assert made.output_text == (answer if isinstance(answer, str) else json.dumps(answer))


@pytest.mark.parametrize("fields", NO_CALLS.values(), ids=NO_CALLS)
async def test_a_call_is_no_answer_where_none_is_allowed(fields: Any) -> None:
    async with sdk(by_schema(says(CALLS))) as client:
        made = await cast("Any", client.responses).create(model="auto", input=LOOKED_UP, **fields)
    assert made.status == "failed"
    assert made.output_text == ""


@pytest.mark.parametrize(
    "one", [native(says("It is sunny.")), able(FakeBackend(says("It is sunny.")))], ids=["calls functions", "no schema"]
)
async def test_a_model_that_is_not_held_answers_in_plain_text(one: Any) -> None:
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input=LOOKED_UP)
    assert made.output_text == "It is sunny."


async def test_the_first_answer_of_a_conversation_is_plain_text() -> None:
    async with sdk(able(FakeBackend(says("Hi.")), Capability.JSON_SCHEMA)) as client:
        made = await client.responses.create(model="auto", input="hi", tools=[WEATHER], tool_choice="none")
    assert made.output_text == "Hi."

"""Does a turn fail where the model's answer does not have the requested format?"""

import json
from typing import Any, cast

import pytest

from clients.backends.port import TextPiece
from domain.content.capabilities import Capability
from tests.api.abilities.test_tools import CALLS, NATIVE, WEATHER, able
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, interrupted, says

pytestmark = pytest.mark.slow

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
STRICT: Any = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}
GUIDED: Any = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA}}
OBJECT: Any = {"format": {"type": "json_object"}}
PLACE = '{"city": "Oslo"}'

BOTH = (Capability.TOOLS, Capability.JSON_SCHEMA)


def formed(*scripts: Any) -> Api:
    return able(FakeBackend(*scripts), *BOTH)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (STRICT, "Oslo, of course."),
        (STRICT, '{"city": "Os'),
        (STRICT, '{"town": "Oslo"}'),
        (STRICT, f"```json\n{PLACE}\n```"),
        (GUIDED, "Oslo, of course."),
        (OBJECT, '["Oslo"]'),
    ],
)
async def test_an_answer_of_another_form_fails_the_turn(text: Any, answer: str) -> None:
    async with sdk(formed(says(answer))) as client:
        made = await client.responses.create(model="auto", input="Where?", text=text)
        stream = await client.responses.create(model="auto", input="Where?", text=text, stream=True)
        last = [event async for event in stream][-1]
    assert made.status == "failed"
    assert made.error
    assert made.error.code == "server_error"
    assert "requested output format" in made.error.message
    assert "Oslo" not in made.error.message
    assert last.type == "response.failed"


@pytest.mark.parametrize(
    ("text", "answer"), [(STRICT, PLACE), (STRICT, f" {PLACE}\n"), (GUIDED, '{"town": 1}'), (OBJECT, "{}")]
)
async def test_an_answer_of_the_form_completes_the_turn(text: Any, answer: str) -> None:
    async with sdk(formed(says(answer))) as client:
        made = await client.responses.create(model="auto", input="Where?", text=text)
    assert (made.status, made.output_text) == ("completed", answer)


async def test_an_answer_that_is_cut_at_its_limit_is_incomplete() -> None:
    async with sdk(formed(says('{"city": "Os', reason="length"))) as client:
        made = await client.responses.create(model="auto", input="Where?", text=STRICT)
    assert made.status == "incomplete"
    assert made.incomplete_details
    assert made.incomplete_details.reason == "max_output_tokens"


async def test_the_whole_answer_is_checked_where_a_second_attempt_begins_it_again() -> None:
    async with sdk(formed(interrupted('{"city": '), says(PLACE))) as client:
        made = await client.responses.create(model="model@main", input="Where?", text=STRICT)
    assert (made.status, made.output_text) == ("completed", PLACE)


@pytest.mark.parametrize("said", ["", "Let me look.", PLACE])
async def test_a_call_and_the_text_beside_it_are_no_answer_to_be_checked(said: str) -> None:
    script = [*([TextPiece(text=said)] if said else []), *NATIVE]
    async with sdk(formed(script)) as client:
        made = await client.responses.create(model="auto", input="Where?", text=STRICT, tools=[WEATHER])
    assert (made.status, made.output[-1].type, made.output_text) == ("completed", "function_call", said)


@pytest.mark.parametrize(("answer", "status"), [({"city": "Oslo"}, "completed"), ({"town": "Oslo"}, "failed")])
async def test_the_answer_of_a_schema_held_model_is_checked_inside_its_envelope(answer: Any, status: str) -> None:
    one = able(FakeBackend(says(json.dumps({"answer": answer}))), Capability.JSON_SCHEMA)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="Where?", text=STRICT, tools=[WEATHER])
    assert made.status == status


async def test_a_call_of_a_schema_held_model_is_no_answer() -> None:
    async with sdk(able(FakeBackend(says(CALLS)), Capability.JSON_SCHEMA)) as client:
        made = await client.responses.create(model="auto", input="Where?", text=STRICT, tools=[WEATHER])
    assert made.status == "completed"


async def test_a_chat_completion_is_checked_too() -> None:
    asked: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA, "strict": True}}
    messages: Any = [{"role": "user", "content": "Where?"}]
    async with sdk(formed(says("Oslo."))) as client:
        stream = await cast("Any", client.chat.completions).create(
            model="auto", messages=messages, response_format=asked, stream=True
        )
        with pytest.raises(Exception, match="requested output format"):
            async for _ in stream:
                pass

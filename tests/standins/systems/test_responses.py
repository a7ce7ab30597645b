"""Do OpenAI's own types read what the stand-in of the Responses API writes?"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from standins.systems.chat import BadCall
from standins.systems.responses import FEWEST_TOKENS, ResponsesDoor, chat_of

type Json = dict[str, Any]

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
USAGE: Json = {"prompt_tokens": 17, "completion_tokens": 2, "total_tokens": 19}


def chunk(delta: Json | None = None, finish: str | None = None, usage: Json | None = None) -> Json:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}] if usage is None else []
    return {"choices": choices, **({"usage": usage} if usage else {})}


def calls(*each: Json) -> Json:
    return chunk({"tool_calls": list(each)})


TEXT = [chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk(finish="stop"), chunk(usage=USAGE)]
CUT = [chunk({"content": "Hel"}), chunk(finish="length"), chunk(usage=USAGE)]
CALLS = [
    calls({"index": 0, "id": "c1", "function": {"name": "find", "arguments": '{"n"'}}),
    calls({"index": 0, "function": {"arguments": ": 1}"}}),
    calls({"index": 1, "id": "c2", "function": {"name": "note", "arguments": "{}"}}),
    chunk(finish="tool_calls"),
    chunk(usage=USAGE),
]


async def answered(chunks: list[Json], *, stream: bool) -> list[bytes]:
    async def lines() -> AsyncIterator[bytes]:
        for each in chunks:
            yield f"data: {json.dumps(each)}\n".encode()

    door = ResponsesDoor()
    asked = door.operation("responses", json.dumps({"model": "m", "input": "hi", "stream": stream}).encode())
    assert asked is not None
    return [part async for part in door.encoded(asked, lines())]


async def whole(chunks: list[Json]) -> Response:
    (body,) = await answered(chunks, stream=False)
    return Response.model_validate_json(body)


async def streamed(chunks: list[Json]) -> list[ResponseStreamEvent]:
    parts = await answered(chunks, stream=True)
    return [EVENT.validate_python(json.loads(part.partition(b"data: ")[2])) for part in parts]


@pytest.mark.parametrize("chunks", [TEXT, CUT, CALLS])
async def test_the_last_event_has_the_answer_that_is_given_whole(chunks: list[Json]) -> None:
    events = await streamed(chunks)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type in {"response.completed", "response.incomplete"}
    assert getattr(last, "response") == await whole(chunks)  # noqa: B009 - some events have none
    assert events[0].type == "response.created"


async def test_a_text_is_the_sum_of_its_deltas() -> None:
    found = await whole(TEXT)
    assert (found.output_text, found.status) == ("Hello", "completed")
    deltas = [event.delta for event in await streamed(TEXT) if event.type == "response.output_text.delta"]
    assert deltas == ["Hel", "lo"]
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens) == (17, 2, 19)


async def test_an_answer_that_was_cut_says_why() -> None:
    found = await whole(CUT)
    assert found.status == "incomplete"
    assert found.incomplete_details is not None
    assert found.incomplete_details.reason == "max_output_tokens"


async def test_each_call_is_an_item_of_its_own() -> None:
    found = [item for item in (await whole(CALLS)).output if item.type == "function_call"]
    assert [(item.call_id, item.name, item.arguments) for item in found] == [
        ("c1", "find", '{"n": 1}'),
        ("c2", "note", "{}"),
    ]
    added = [event for event in await streamed(CALLS) if event.type == "response.output_item.added"]
    assert [event.output_index for event in added] == [0, 1]


def test_items_become_messages() -> None:
    image = {"type": "input_image", "image_url": "https://host/a.png"}
    given: Json = {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "look"}, image]},
            {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "found"},
        ],
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
    }
    chat = chat_of(given)
    assert chat["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://host/a.png"}},
    ]
    assert chat["messages"][1]["tool_calls"][0]["function"] == {"name": "find", "arguments": "{}"}
    assert chat["messages"][2] == {"role": "tool", "tool_call_id": "c", "content": "found"}
    assert chat["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_what_the_api_refuses_is_refused() -> None:
    door = ResponsesDoor()
    few = json.dumps({"model": "m", "input": "hi", "max_output_tokens": FEWEST_TOKENS - 1}).encode()
    with pytest.raises(BadCall, match="expected a value >= 16, but got 15"):
        door.operation("responses", few)
    with pytest.raises(BadCall, match="computer_call"):
        door.operation("responses", json.dumps({"model": "m", "input": [{"type": "computer_call"}]}).encode())
    assert door.operation("chat/completions", b"{}") is None

"""Does null mean the same as an absent field, wherever a request has it?"""

from typing import Any

import pytest

from api.parsing.chat_request import request_from_chat
from api.parsing.responses_request import request_from_openai
from domain.errors import Invalid
from tests.api.harness import api

type Json = dict[str, Any]

CALL: Json = {"id": "c", "function": {"name": "f", "arguments": "{}"}}

CHATS: dict[str, tuple[Json, Json]] = {
    "a user's message": (
        {"messages": [{"role": "user", "content": "hi"}]},
        {
            "messages": [{"role": "user", "content": "hi", "name": None, "tool_calls": None, "tool_call_id": None}],
            "model": None,
            "tools": None,
            "stop": None,
        },
    ),
    "a call": (
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}, {"role": "user", "content": "hi"}]},
        {
            "messages": [
                {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL | {"type": None}]},
                {"role": "user", "content": "hi", "tool_call_id": None},
            ]
        },
    ),
    "a refusal without content": (
        {"messages": [{"role": "assistant", "content": "no"}, {"role": "user", "content": "hi"}]},
        {"messages": [{"role": "assistant", "content": None, "refusal": "no"}, {"role": "user", "content": "hi"}]},
    ),
    "an image without detail": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.com/b.png"}}]}
            ]
        },
        {
            "messages": [
                {
                    "role": "user",
                    "name": None,
                    "content": [{"type": "image_url", "image_url": {"url": "https://a.com/b.png", "detail": None}}],
                }
            ]
        },
    ),
    "a tool": (
        {
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
        {
            "messages": [{"role": "user", "content": "hi"}],
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "description": None, "parameters": None, "strict": None},
                }
            ],
            "tool_choice": None,
            "response_format": None,
        },
    ),
}


@pytest.mark.parametrize(("absent", "null"), CHATS.values(), ids=CHATS)
def test_null_is_absent_in_chat(absent: Json, null: Json) -> None:
    assert request_from_chat(null) == request_from_chat(absent)


ITEMS: dict[str, tuple[Json, Json]] = {
    "a message": (
        {"role": "user", "content": "hi"},
        {"type": None, "id": None, "role": "user", "content": "hi", "status": None, "phase": None},
    ),
    "a reference": ({"id": "msg_1"}, {"id": "msg_1", "type": None, "role": None, "status": None}),
    "a call": (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call", "id": None, "call_id": "c", "name": "f", "arguments": "{}", "namespace": None},
    ),
    "an output": (
        {"type": "function_call_output", "call_id": "c", "output": "4"},
        {"type": "function_call_output", "id": None, "call_id": "c", "output": "4", "status": None},
    ),
    "reasoning": (
        {"type": "reasoning", "summary": []},
        {"type": "reasoning", "id": None, "summary": None, "content": None, "encrypted_content": None},
    ),
}


@pytest.mark.parametrize(("absent", "null"), ITEMS.values(), ids=ITEMS)
def test_null_is_absent_in_an_item(absent: Json, null: Json) -> None:
    def request(item: Json) -> Json:
        return {"input": [{"role": "user", "content": "before"}, item]}

    assert request_from_openai(request(null)) == request_from_openai(request(absent))


@pytest.mark.parametrize("end", [{"previous_response_id": "resp_1"}, {"conversation": "conv_1"}])
def test_an_empty_input_is_absent_where_the_turn_continues(end: Json) -> None:
    assert request_from_openai({"input": [], **end}) == request_from_openai(end)


@pytest.mark.parametrize("end", [{}, {"previous_response_id": None}, {"conversation": None}, {"instructions": "x"}])
def test_an_empty_input_is_rejected_where_there_is_nothing_to_continue(end: Json) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_openai({"input": [], **end})
    assert caught.value.field == "input"


async def test_a_turn_with_an_empty_input_answers_the_conversation() -> None:
    one = api()
    first = (await one.create({"input": "hi"})).json()
    again = await one.create({"input": [], "previous_response_id": first["id"]})
    assert (again.status_code, again.json()["status"]) == (200, "completed")


async def test_null_metadata_removes_the_metadata_and_absent_metadata_is_missing() -> None:
    one = api()
    made = (await one.http.post("/v1/conversations", json={"metadata": {"a": "b"}, "items": None})).json()
    path = f"/v1/conversations/{made['id']}"
    assert (await one.http.post(path, json={})).status_code == 400
    assert (await one.http.post(path, json={"metadata": None})).json()["metadata"] == {}

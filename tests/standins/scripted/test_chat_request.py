"""Is a chat completion request read as vLLM and OpenAI would read it, and a wrong field named?"""

import base64
from typing import Any

import pytest

from standins.scripted.chat_request import BadRequest, decoded_size, request_from_body, text_from

type Json = dict[str, Any]

USER: Json = {"role": "user", "content": "hi"}
FIND: Json = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
NOTE: Json = {"type": "function", "function": {"name": "note"}}


def body(**fields: Any) -> Json:
    return {"messages": [USER], **fields}


@pytest.mark.parametrize(
    ("given", "problem", "param"),
    [
        ([], "the body must be a JSON object", None),
        ({}, "at least one message", "messages"),
        ({"messages": "hi"}, "at least one message", "messages"),
        ({"messages": ["hi"]}, "an object with a role", "messages"),
        ({"messages": [{"content": "hi"}]}, "an object with a role", "messages"),
        (body(max_tokens=0), "a whole number above 0", "max_tokens"),
        (body(max_completion_tokens="5"), "a whole number above 0", "max_tokens"),
        (body(tool_choice="required"), "a tool that is not in tools", "tool_choice"),
        (body(tools=[FIND], tool_choice={"type": "function", "function": {"name": "note"}}), "not in", "tool_choice"),
        (body(continue_final_message=True), "needs a last message from the assistant", "continue_final_message"),
        (
            {"messages": [USER, {"role": "assistant", "content": "He"}], "continue_final_message": True},
            "needs add_generation_prompt false",
            "add_generation_prompt",
        ),
    ],
)
def test_a_wrong_field_is_named(given: Any, problem: str, param: str | None) -> None:
    with pytest.raises(BadRequest, match=problem) as raised:
        request_from_body(given)
    assert raised.value.param == param


def test_a_last_message_of_the_assistant_is_continued() -> None:
    found = request_from_body({"messages": [USER, {"role": "assistant", "content": "Hel"}]})
    assert (found.partial, [message.text for message in found.messages]) == ("Hel", ["hi"])
    called = {"role": "assistant", "content": "Hel", "tool_calls": [{"id": "c"}]}
    assert request_from_body({"messages": [USER, called]}).partial is None


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        ({}, None),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 5, "max_tokens": 7}, 5),
        ({"max_tokens": None}, None),
    ],
)
def test_the_newer_name_of_a_limit_wins(limits: Json, limit: int | None) -> None:
    assert request_from_body(body(**limits)).limit == limit


@pytest.mark.parametrize(
    ("choice", "forced", "offered"),
    [
        (None, None, ["find", "note"]),
        ("auto", None, ["find", "note"]),
        ("none", None, []),
        ("required", "find", ["find", "note"]),
        ({"type": "function", "function": {"name": "note"}}, "note", ["find", "note"]),
        ({"type": "function", "name": "note"}, "note", ["find", "note"]),
    ],
)
def test_a_choice_forces_one_of_the_tools_or_forbids_all(choice: Any, forced: str | None, offered: list[str]) -> None:
    found = request_from_body(body(tools=[FIND, NOTE], tool_choice=choice))
    assert (found.tool["name"] if found.tool else None) == forced
    assert [each["name"] for each in found.functions] == offered


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"type": "text"}, None),
        ({"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}, {"type": "array"}),
        ({"type": "json_schema", "schema": {"type": "array"}}, {"type": "array"}),
        ({"type": "json_object"}, {"type": "object", "properties": {"answer": {"type": "string"}}}),
        ({"type": "json_object", "schema": {"type": "array"}}, {"type": "array"}),
    ],
)
def test_a_format_of_the_answer_is_a_schema(given: Json, schema: Json | None) -> None:
    assert request_from_body(body(response_format=given)).schema == schema


def test_log_probabilities_come_where_they_are_asked_for() -> None:
    asked = [body(), body(top_logprobs=3), body(logprobs=True), body(logprobs=True, top_logprobs=3)]
    assert [request_from_body(each).top_logprobs for each in asked] == [None, None, 0, 3]


@pytest.mark.parametrize("size", range(5))
def test_an_image_is_seen_by_its_type_and_size(size: int) -> None:
    url = f"data:image/png;base64,{base64.b64encode(bytes(size)).decode()}"
    assert decoded_size(url) == size
    image = {"type": "image_url", "image_url": {"url": url}}
    assert text_from([{"type": "text", "text": "see "}, image]) == f"see [image/png, {size} bytes]"
    assert text_from([{"image_url": {"url": "https://host/a.png"}}]) == "[image at https://host/a.png]"


def test_the_images_of_a_result_belong_to_the_result() -> None:
    image = {"role": "user", "content": [{"image_url": {"url": "https://host/a.png"}}]}
    found = request_from_body({"messages": [USER, {"role": "tool", "content": "seen"}, image, USER]})
    assert [message.role for message in found.messages] == ["user", "tool", "tool", "user"]
    assert request_from_body({"messages": [image]}).messages[0].role == "user"


def test_a_conversation_is_the_same_without_its_partial_answer() -> None:
    first, again = (
        request_from_body({"messages": [USER, *more]}) for more in ([], [{"role": "assistant", "content": "Hel"}])
    )
    assert first.conversation == again.conversation
    assert first.conversation != request_from_body(body(messages=[{**USER, "content": "ho"}])).conversation


def test_the_last_text_of_a_role_is_not_empty() -> None:
    found = request_from_body({"messages": [{"role": "system", "content": "s"}, USER, {**USER, "content": ""}]})
    assert (found.last_text("user"), found.first_text("system"), found.last_text("tool")) == ("hi", "s", "")

"""Which items does one message of a chat become?"""

from typing import Any

import pytest

from api.http.validation import validated
from api.parsing.chat_messages import ChatMessage, items_of, names_in
from domain.content.items import ItemKind, Role
from domain.errors import Invalid

type Json = dict[str, Any]

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="


def message(**fields: Any) -> ChatMessage:
    return validated(ChatMessage, {"role": "assistant", **fields}, "messages", 3)


def items(**fields: Any) -> Any:
    return items_of(message(**fields), 3)


def function(arguments: str = "{}") -> Json:
    return {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": arguments}}


def test_reasoning_text_and_calls_keep_their_order() -> None:
    custom = {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": 'say "hi"'}}
    found = items(content="so", reasoning_content="hm", tool_calls=[function(), custom])
    assert [(each.kind, each.text) for each in found] == [
        (ItemKind.REASONING, "hm"),
        (ItemKind.MESSAGE, "so"),
        (ItemKind.FUNCTION_CALL, "{}"),
        (ItemKind.FUNCTION_CALL, '{"input": "say \\"hi\\""}'),
    ]
    assert [(each.name, each.call_id, each.is_custom) for each in found[2:]] == [
        ("add", "call_1", False),
        ("shell", "call_2", True),
    ]


def test_a_call_without_a_type_is_one_of_a_function() -> None:
    (found,) = items(tool_calls=[{"id": "call_1", "function": {"name": "add", "arguments": "{}"}}])
    assert (found.kind, found.is_custom) == (ItemKind.FUNCTION_CALL, False)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_has_two_names(field: str) -> None:
    thought, said = items(content="x", **{field: "hm"})
    assert (thought.kind, thought.text, said.text) == (ItemKind.REASONING, "hm", "x")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"refusal": "no"}, "no"),
        ({"content": None, "refusal": "no"}, "no"),
        ({"content": [], "refusal": "no"}, "no"),
        ({"content": "yes", "refusal": "no"}, "yes"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]}, "ab"),
        ({"content": ""}, ""),
    ],
)
def test_a_refusal_stands_for_the_text_that_it_replaced(fields: Json, text: str) -> None:
    (found,) = items(**fields)
    assert (found.kind, found.role, found.text) == (ItemKind.MESSAGE, Role.ASSISTANT, text)


def test_images_have_their_places_in_the_text() -> None:
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    sharp = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "high"}}
    parts = [{"type": "text", "text": "see "}, image, {"type": "text", "text": "and"}, sharp]
    (found,) = items(role="user", content=parts)
    assert (found.role, found.text) == (Role.USER, "see and")
    assert [(each.at, each.detail, each.path) for each in found.images] == [
        (4, "auto", "messages[3].content[1].image_url.url"),
        (7, "high", "messages[3].content[3].image_url.url"),
    ]


def test_a_result_belongs_to_its_call() -> None:
    (found,) = items(role="tool", content="3", tool_call_id="call_1", name="add")
    assert (found.kind, found.role, found.text, found.call_id) == (ItemKind.FUNCTION_OUTPUT, Role.USER, "3", "call_1")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "messages[3].content"),
        ({"tool_calls": []}, "messages[3].content"),
        ({"reasoning_content": "hm"}, "messages[3].content"),
        ({"role": "tool", "content": "3"}, "messages[3].tool_call_id"),
        ({"role": "tool", "content": "3", "tool_call_id": ""}, "messages[3].tool_call_id"),
        ({"tool_calls": [{"function": {"name": "add", "arguments": "{}"}}]}, "messages[3].tool_calls[0].id"),
        ({"tool_calls": [function() | {"function": {"name": "add"}}]}, "messages[3].tool_calls[0].function.arguments"),
        ({"tool_calls": [{"id": "c", "type": "custom"}]}, "messages[3].tool_calls[0].custom"),
    ],
)
def test_what_a_message_lacks_is_named(fields: Json, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        items(**fields)
    assert (caught.value.field, caught.value.code) == (field, "missing_required_parameter")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"role": "function"}, "messages[3].role"),
        ({"content": [{"type": "video"}]}, "messages[3].content[0].type"),
        (
            {"content": [{"type": "image_url", "image_url": {"url": PIXEL, "detail": "huge"}}]},
            "messages[3].content[0].image_url.detail",
        ),
        ({"tool_calls": [function() | {"type": "code"}]}, "messages[3].tool_calls[0].type"),
        ({"tool_calls": [function() | {"id": "i" * 257}]}, "messages[3].tool_calls[0].id"),
    ],
)
def test_a_wrong_value_is_named(fields: Json, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        message(**fields)
    assert (caught.value.field, caught.value.code) == (field, "invalid_value")


def test_names_of_participants_are_ignored_but_not_those_of_tools() -> None:
    tool = message(role="tool", content="3", tool_call_id="call_1", name="add")
    assert names_in([message(content="x"), tool]) == ()
    assert names_in([tool, message(role="user", content="x", name="Ann")]) == ("messages.name",)

"""Which turn does a chat request, and which of its fields is named where it is wrong?"""

from collections.abc import Mapping
from typing import Any

import pytest

from api.parsing.chat_request import request_from_chat
from domain.content.items import ItemKind, Role
from domain.errors import Invalid

MESSAGES: list[Any] = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]


def test_messages_become_items_in_their_order() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3", "tool_call_id": "call_1"},
    ]
    items: Any = request_from_chat({"messages": messages}).turn.input_items
    assert [(item.kind, item.role, item.text) for item in items] == [
        (ItemKind.MESSAGE, Role.USER, "one two"),
        (ItemKind.FUNCTION_CALL, Role.ASSISTANT, "{}"),
        (ItemKind.FUNCTION_OUTPUT, Role.USER, "3"),
    ]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
    ({"messages": MESSAGES, "n": 2}, "n"),
    ({"messages": MESSAGES, "top_logprobs": 1}, "top_logprobs"),
    ({"messages": MESSAGES, "tools": [{}]}, "tools[0].type"),
    ({"messages": MESSAGES, "web_search_options": {}}, "web_search_options"),
    ({"messages": MESSAGES, "modalities": ["text", "audio"]}, "modalities"),
    ({"messages": MESSAGES, "moderation": {"model": "m", "policy": {"input": {"mode": "block"}}}}, "moderation"),
    ({"messages": MESSAGES, "max_tokens": 0, "n": 2}, "n"),
    ({"messages": MESSAGES, "max_tokens": 0, "functions": [{}], "max_completion_tokens": 5}, "functions"),
    ({"messages": MESSAGES, "temperature": 3}, "temperature"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_an_invalid_field_is_named(body: Mapping[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_chat(body)
    assert caught.value.field == field


def test_a_default_value_is_accepted() -> None:
    neutral: dict[str, Any] = {
        "n": 1,
        "logprobs": False,
        "tools": [],
        "response_format": {"type": "text"},
        "stop": None,
    }
    assert request_from_chat({"messages": MESSAGES, **neutral}).turn.ignored == ()


def test_a_field_that_cannot_change_the_answer_is_ignored_and_named() -> None:
    scores = {"model": "m", "policy": {"input": {"mode": "score"}, "output": {"mode": "score"}}}
    harmless: dict[str, Any] = {
        "audio": {"format": "wav", "voice": "alloy"},
        "moderation": scores,
        "prediction": {"type": "content", "content": "x"},
        "stream_options": {"include_obfuscation": True},
    }
    ignored = request_from_chat({"messages": MESSAGES, **harmless}).turn.ignored
    assert set(ignored) == {"audio", "moderation", "prediction", "stream_options.include_obfuscation"}

"""Is every field of a request honoured, reported as ignored, or rejected by its name?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from api.parsing.chat_request import CHAT_FIELDS, request_from_chat
from api.parsing.field_rules import RESPONSE_FIELDS, FieldRule, FieldTreatment, ignored_fields, ignored_header
from api.parsing.responses_request import ResponseRequest, request_from_openai
from domain.errors import Invalid

REJECTED: list[tuple[str, Any]] = [
    ("prompt", {"id": "pmpt_1"}),
    ("context_management", [{"type": "compaction"}]),
    ("moderation", {"model": "m"}),
    ("moderation", {"model": "m", "policy": {"input": {"mode": "block"}, "output": {"mode": "score"}}}),
]

NEUTRAL: list[dict[str, Any]] = [
    {"tools": [], "tool_choice": "auto"},
    {"tools": None, "tool_choice": "none", "conversation": None, "prompt": None},
    {"text": {}},
    {"text": None, "reasoning": None},
    {"text": {"format": {"type": "text"}, "verbosity": "medium"}},
    {"reasoning": {"effort": None, "summary": None}},
    {"truncation": "disabled", "presence_penalty": 0, "frequency_penalty": 0.0, "top_logprobs": 0},
    {"include": [], "parallel_tool_calls": None, "user": None},
]


def nested(name: str, value: Any) -> dict[str, Any]:
    group, _, member = name.partition(".")
    return {group: {member: value}} if member else {group: value}


@pytest.mark.parametrize(("name", "value"), REJECTED)
def test_a_field_that_would_change_the_answer_is_rejected_by_name(name: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        ignored_fields({"input": "hi", **nested(name, value)}, RESPONSE_FIELDS)
    assert (caught.value.field, caught.value.code) == (name, "unsupported_parameter")


MISPLACED: list[tuple[str, Any, str]] = [
    ("max_tokens", 5, "send 'max_output_tokens'"),
    ("max_completion_tokens", 5, "send 'max_output_tokens'"),
    ("response_format", {"type": "json_object"}, "send 'text.format'"),
    ("messages", [{"role": "user", "content": "hi"}], "send 'input'"),
    ("n", 2, "send several requests"),
    ("stop", ["a"], "only Chat Completions has it"),
    ("seed", 0, "only Chat Completions has it"),
    ("logprobs", True, "message.output_text.logprobs"),
]
MISPLACED_IN_CHATS: list[tuple[str, Any, str]] = [
    ("max_output_tokens", 50, "send 'max_completion_tokens'"),
    ("instructions", "Be brief.", "message of the system"),
    ("previous_response_id", "resp_1", "only the Responses API has it"),
    ("conversation", {"id": "conv_1"}, "only the Responses API has it"),
    ("text", {"format": {"type": "json_object"}}, "send 'response_format'"),
    ("input", "hi", "send 'messages'"),
]
EMPTY: dict[str, Any] = {"instructions": "", "input": [], "text": {"format": {"type": "text"}}, "conversation": None}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(("name", "value", "instead"), MISPLACED)
def test_a_field_of_chats_is_rejected_in_a_request_for_a_response(name: str, value: Any, instead: str) -> None:
    with pytest.raises(Invalid, match=instead) as caught:
        request_from_openai({"input": "hi", name: value})
    assert (caught.value.field, caught.value.code) == (name, "unsupported_parameter")


@pytest.mark.parametrize(("name", "value", "instead"), MISPLACED_IN_CHATS)
def test_a_field_of_responses_is_rejected_in_a_chat(name: str, value: Any, instead: str) -> None:
    with pytest.raises(Invalid, match=instead) as caught:
        request_from_chat({**CHAT, name: value})
    assert (caught.value.field, caught.value.code) == (name, "unsupported_parameter")


def test_a_misplaced_field_that_asks_for_nothing_is_no_error() -> None:
    nothing: dict[str, Any] = {"messages": [], "n": 1, "stop": [], "seed": None, "response_format": {"type": "text"}}
    assert request_from_openai({"input": "hi", **nothing}).ignored == ()
    assert request_from_chat({**CHAT, **EMPTY}).turn.ignored == ()


@pytest.mark.parametrize("body", NEUTRAL)
def test_a_default_value_is_accepted_silently(body: dict[str, Any]) -> None:
    assert ignored_fields({"input": "hi", **body}, RESPONSE_FIELDS) == ()


def test_a_field_that_cannot_change_the_answer_is_ignored_and_named() -> None:
    body = {"input": "hi", "user": "me", "service_tier": "flex", "reasoning": {"summary": "auto"}, "novelty": 1}
    assert ignored_fields(body, RESPONSE_FIELDS) == ("user", "service_tier", "reasoning.summary", "novelty")


@pytest.mark.parametrize("name", ["text", "reasoning"])
def test_a_group_is_an_object(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        ignored_fields({name: "high"}, RESPONSE_FIELDS)
    assert (caught.value.field, caught.value.code) == (name, "invalid_type")


def test_the_fields_that_are_read_are_the_honoured_and_the_echoed_fields() -> None:
    read = (FieldTreatment.HONOURED, FieldTreatment.ECHOED)
    names = {name.partition(".")[0] for name, rule in RESPONSE_FIELDS.items() if rule.treatment in read}
    assert set(ResponseRequest.model_fields) == names


def test_every_field_of_the_official_sdk_has_a_rule_except_those_of_unsupported_features() -> None:
    known = {name.partition(".")[0] for name in RESPONSE_FIELDS}
    assert set(get_type_hints(ResponseCreateParamsBase)) - known == {"access_programs", "background_options", "image"}


@pytest.mark.parametrize(
    ("names", "header"),
    [
        ((), {}),
        (("user", "include"), {"x-ganglion-ignored": "include, user"}),
        (("a\r\nset-cookie: b", "user"), {"x-ganglion-ignored": "user, and 1 more"}),
        (("é",), {"x-ganglion-ignored": "and 1 more"}),
    ],
)
def test_the_header_lists_the_names_that_a_header_can_carry(names: tuple[str, ...], header: dict[str, str]) -> None:
    assert ignored_header(names) == header


def test_a_caller_cannot_make_the_header_long() -> None:
    header = ignored_header(tuple("x" * 60 + str(number) for number in range(1000)))["x-ganglion-ignored"]
    assert len(header) < 2000
    assert header.endswith("and 980 more")


@pytest.mark.parametrize(
    ("heading", "rules"), [("POST /v1/responses", RESPONSE_FIELDS), ("POST /v1/chat/completions", CHAT_FIELDS)]
)
def test_the_documentation_shows_every_rule(heading: str, rules: Mapping[str, FieldRule]) -> None:
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.partition(f"## Fields of `{heading}`\n")[2].partition("\n## ")[0]
    shown = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    treatments = {cells[1].strip(" `"): cells[2].replace(";", " ").split()[0] for cells in shown}
    assert treatments == {
        name: rule.treatment.value for name, rule in rules.items() if rule.treatment is not FieldTreatment.GROUP
    }


def test_every_field_of_a_chat_in_the_official_sdk_has_a_rule() -> None:
    known = {name.partition(".")[0] for name in CHAT_FIELDS}
    assert set(get_type_hints(CompletionCreateParamsBase)) - known == set()


def test_the_name_of_a_participant_is_ignored_and_named() -> None:
    named = [{"role": "user", "name": "Ada", "content": "hi"}, {"role": "assistant", "name": "Bo", "content": "hm"}]
    assert request_from_chat({"messages": named}).turn.ignored == ("messages.name",)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tool = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "name": "f", "content": ""},
    ]
    assert request_from_chat({"messages": [*tool, {"role": "user", "name": None, "content": "hi"}]}).turn.ignored == ()

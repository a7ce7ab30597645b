"""Which fields of a request are honoured, which are ignored, and which are rejected?

A field that would change the answer and is not supported is rejected by its name. A field that can't change the answer
is ignored and named in the header `x-ganglion-ignored`, like an unknown field; some of them are echoed: the response
object returns their values. docs/api.md has the same table. A field that only the other API has is rejected, too.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from domain.errors import Invalid

HEADER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NAMED_LIMIT = 20


def never(_value: Any) -> bool:
    return False


class FieldTreatment(StrEnum):
    HONOURED = "honoured"
    IGNORED = "ignored"
    ECHOED = "echoed"
    REJECTED = "rejected"
    GROUP = "group"


class FieldRule(Struct, frozen=True, kw_only=True):
    """How a field is treated. A rejected field may be null or have one of the `neutral` values, the defaults.

    `is_harmless` returns whether a value can't change the answer: the field is then ignored. `instead` is what a caller
    can send in its place.
    """

    treatment: FieldTreatment
    neutral: tuple[Any, ...] = ()
    is_harmless: Callable[[Any], bool] = never
    instead: str = ""


HONOURED = FieldRule(treatment=FieldTreatment.HONOURED)
IGNORED = FieldRule(treatment=FieldTreatment.IGNORED)
ECHOED = FieldRule(treatment=FieldTreatment.ECHOED)
GROUP = FieldRule(treatment=FieldTreatment.GROUP)


def rejected_unless(*neutral: Any, is_harmless: Callable[[Any], bool] = never) -> FieldRule:
    return FieldRule(treatment=FieldTreatment.REJECTED, neutral=neutral, is_harmless=is_harmless)


def misplaced(instead: str, *neutral: Any) -> FieldRule:
    """Return the rule of a field that only the other API has."""
    return FieldRule(treatment=FieldTreatment.REJECTED, neutral=neutral, instead=instead)


def only_scores(moderation: Any) -> bool:
    """Return whether a moderation only asks for scores and never blocks; scores are not supported."""
    match moderation:
        case {"policy": {"input": {"mode": "score"}, "output": {"mode": "score"}}}:
            return True
        case _:
            return False


MODERATION = rejected_unless(is_harmless=only_scores)


RESPONSE_FIELDS: Mapping[str, FieldRule] = {
    "background": HONOURED,
    "conversation": HONOURED,
    "input": HONOURED,
    "instructions": HONOURED,
    "max_output_tokens": HONOURED,
    "metadata": HONOURED,
    "parallel_tool_calls": HONOURED,
    "model": HONOURED,
    "previous_response_id": HONOURED,
    "store": HONOURED,
    "stream": HONOURED,
    "text": GROUP,
    "text.format": HONOURED,
    "temperature": HONOURED,
    "tool_choice": HONOURED,
    "tools": HONOURED,
    "top_p": HONOURED,
    "truncation": HONOURED,
    "include": HONOURED,
    "max_tool_calls": HONOURED,
    "prompt_cache_key": ECHOED,
    "prompt_cache_options": IGNORED,
    "prompt_cache_retention": IGNORED,
    "safety_identifier": ECHOED,
    "service_tier": ECHOED,
    "stream_options": IGNORED,
    "user": IGNORED,
    "context_management": rejected_unless([]),
    "frequency_penalty": HONOURED,
    "moderation": MODERATION,
    "presence_penalty": HONOURED,
    "prompt": rejected_unless(),
    "reasoning": GROUP,
    "reasoning.effort": HONOURED,
    "reasoning.generate_summary": IGNORED,
    "reasoning.summary": IGNORED,
    "text.verbosity": HONOURED,
    "top_logprobs": HONOURED,
}


ONLY_CHAT = "only Chat Completions has it"
CHAT_ONLY: Mapping[str, FieldRule] = {
    "function_call": misplaced("send 'tool_choice'", "auto", "none"),
    "functions": misplaced("send 'tools'", []),
    "logit_bias": misplaced(ONLY_CHAT, {}),
    "logprobs": misplaced("send 'include' with 'message.output_text.logprobs'", False),
    "max_completion_tokens": misplaced("send 'max_output_tokens'"),
    "max_tokens": misplaced("send 'max_output_tokens'"),
    "messages": misplaced("send 'input'", []),
    "modalities": misplaced("the answer is text", ["text"]),
    "n": misplaced("send several requests", 1),
    "reasoning_effort": misplaced("send 'reasoning.effort'", "none"),
    "response_format": misplaced("send 'text.format'", {"type": "text"}),
    "seed": misplaced(ONLY_CHAT),
    "stop": misplaced(ONLY_CHAT, []),
    "verbosity": misplaced("send 'text.verbosity'", "medium"),
}
"""The fields of Chat Completions that would change an answer, where a request for a response has them."""

ONLY_RESPONSES = "only the Responses API has it"
RESPONSES_ONLY: Mapping[str, FieldRule] = {
    "conversation": misplaced(ONLY_RESPONSES),
    "input": misplaced("send 'messages'", "", []),
    "instructions": misplaced("send a message of the system in 'messages'", ""),
    "max_output_tokens": misplaced("send 'max_completion_tokens'"),
    "previous_response_id": misplaced(ONLY_RESPONSES),
    "prompt": misplaced(ONLY_RESPONSES),
    "text": misplaced("send 'response_format' or 'verbosity'", {}, {"format": {"type": "text"}}),
}
"""The fields of the Responses API that would change an answer, where a chat has them."""

WITHOUT_EFFECT = (FieldTreatment.IGNORED, FieldTreatment.ECHOED)


def ignored_fields(body: Mapping[str, Any], rules: Mapping[str, FieldRule]) -> tuple[str, ...]:
    """Return the names of the ignored fields; raises Invalid for the first rejected field."""
    return tuple(name for name, value in flattened(body, rules) if is_ignored(name, value, rules.get(name, IGNORED)))


def flattened(body: Mapping[str, Any], rules: Mapping[str, FieldRule]) -> Iterator[tuple[str, Any]]:
    """Yield each field with its value; the members of a group have dotted names."""
    for name, value in body.items():
        if rules.get(name) != GROUP or value is None:
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{member}", content) for member, content in value.items())  # pyright: ignore[reportUnknownVariableType] - JSON
        else:
            raise Invalid(f"Invalid '{name}': expected an object.", field=name, code="invalid_type")


def is_ignored(name: str, value: Any, rule: FieldRule) -> bool:
    if rule.treatment is FieldTreatment.REJECTED and not is_neutral(value, rule.neutral):
        if rule.is_harmless(value):
            return True
        raise unsupported(name, why=rule.instead)
    return rule.treatment in WITHOUT_EFFECT and value not in (None, [], {})


def unsupported(name: str, *, why: str = "") -> Invalid:
    message = f"Unsupported parameter: '{name}' is not supported{why and f': {why}'}."
    return Invalid(message, field=name, code="unsupported_parameter")


def is_neutral(value: Any, neutral: tuple[Any, ...]) -> bool:
    """Return whether a value is null or a default; unlike in Python, false does not equal 0."""
    return value is None or any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in neutral)


def ignored_header(names: tuple[str, ...]) -> dict[str, str]:
    """Return the header that names ignored fields; a name that a header can't carry is only counted."""
    named = [name for name in sorted(names) if HEADER_NAME.fullmatch(name)][:NAMED_LIMIT]
    others = len(names) - len(named)
    parts = [*named, f"and {others} more"] if others else named
    return {"x-ganglion-ignored": ", ".join(parts)} if parts else {}

"""Which fields of a request do we honour, which do we pass over, and which do we refuse?

What would change the answer and can't be honoured is refused by its name. What can't change it is passed over and named
in the header `x-ganglion-ignored`, and so is a field that nobody knows. docs/api.md shows this table.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from domain.errors import Invalid

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NAMED_LIMIT = 20


def never(_value: Any) -> bool:
    return False


class FieldTreatment(StrEnum):
    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """How a field is treated. A refused field may say what is so anyway: null or one of `neutral`.

    `harmless` tells of a value that it can't change the answer: it is passed over.
    """

    treatment: FieldTreatment
    neutral: tuple[Any, ...] = ()
    harmless: Callable[[Any], bool] = never


HONOURED = FieldRule(treatment=FieldTreatment.HONOURED)
IGNORED = FieldRule(treatment=FieldTreatment.IGNORED)
GROUP = FieldRule(treatment=FieldTreatment.GROUP)


def rejected_unless(*neutral: Any, harmless: Callable[[Any], bool] = never) -> FieldRule:
    return FieldRule(treatment=FieldTreatment.REFUSED, neutral=neutral, harmless=harmless)


def only_scores(moderation: Any) -> bool:
    """Tell whether a moderation is to judge and never to block; judgements are given by nobody here."""
    match moderation:
        case {"policy": {"input": {"mode": "score"}, "output": {"mode": "score"}}}:
            return True
        case _:
            return False


MODERATION = rejected_unless(harmless=only_scores)


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
    "include": IGNORED,
    "max_tool_calls": IGNORED,
    "prompt_cache_key": IGNORED,
    "prompt_cache_options": IGNORED,
    "prompt_cache_retention": IGNORED,
    "safety_identifier": IGNORED,
    "service_tier": IGNORED,
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
    "top_logprobs": rejected_unless(0),
}


def ignored_fields(body: Mapping[str, Any], rules: Mapping[str, FieldRule]) -> tuple[str, ...]:
    """Return the names of the fields that are passed over; raises Invalid for the first that is refused."""
    return tuple(name for name, value in flattened(body, rules) if is_ignored(name, value, rules.get(name, IGNORED)))


def flattened(body: Mapping[str, Any], rules: Mapping[str, FieldRule]) -> Iterator[tuple[str, Any]]:
    """Give each field with its value; the members of a group by their dotted names."""
    for name, value in body.items():
        if rules.get(name) != GROUP or value is None:
            yield name, value
        elif isinstance(value, dict):
            yield from ((f"{name}.{member}", content) for member, content in value.items())  # pyright: ignore[reportUnknownVariableType] - JSON
        else:
            raise Invalid(f"Invalid '{name}': expected an object.", field=name, code="invalid_type")


def is_ignored(name: str, value: Any, rule: FieldRule) -> bool:
    if rule.treatment is FieldTreatment.REFUSED and not is_neutral(value, rule.neutral):
        if rule.harmless(value):
            return True
        raise unsupported(name)
    return rule.treatment is FieldTreatment.IGNORED and value not in (None, [], {})


def unsupported(name: str) -> Invalid:
    message = f"Unsupported parameter: '{name}' can't be honoured here."
    return Invalid(message, field=name, code="unsupported_parameter")


def is_neutral(value: Any, neutral: tuple[Any, ...]) -> bool:
    """Tell whether a value says what is so anyway; false is no 0 here."""
    return value is None or any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in neutral)


def ignored_header(names: tuple[str, ...]) -> dict[str, str]:
    """Return the header that names ignored fields; a name that no header can carry is counted only."""
    shown = [name for name in sorted(names) if NAME.fullmatch(name)][:NAMED_LIMIT]
    rest = len(names) - len(shown)
    parts = [*shown, f"and {rest} more"] if rest else shown
    return {"x-ganglion-ignored": ", ".join(parts)} if parts else {}

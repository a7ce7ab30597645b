"""Does only what is small and JSON cross the durable boundary, under names that stand?"""

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeAliasType, get_args, get_origin, get_type_hints

import pytest

from domain import wire
from domain.identity.owners import Owner
from domain.tokens import sizes

WIRES = {name: value for name, value in (vars(wire) | vars(sizes)).items() if name.endswith("Wire")}
SCALARS = (str, int, float, bool, type(None))
HISTORIES = Path(__file__).parent.parent / "orchestrators" / "histories"

NAMES = {
    "RESPOND": "respond",
    "BEGIN": "begin",
    "RECALL": "recall",
    "ROUTE": "route",
    "INFER": "infer",
    "FINISH": "finish",
    "SETTLE": "settle",
    "CANCELLED_EVENT": "cancelled",
    "TURN_ENDED_EVENT": "turn_ended",
}
FIRST_FIELDS = {
    "TurnWire": {"tenant", "subject", "response", "traceparent"},
    "BeginWire": {"execution"},
    "BegunWire": {"mine"},
    "SizeWire": {"expected", "likely", "ceiling", "bytes"},
    "RecalledWire": {"size", "messages"},
    "RouteWire": {"number", "size", "excluded"},
    "RoutedWire": {"backend", "reason", "worst_cost", "output_tokens", "has_alternative", "delay_s"},
    "InferWire": {"attempt", "backend", "worst_cost", "output_tokens", "retries", "has_alternative"},
    "InferredWire": {"result", "code", "message", "delay_s"},
    "FinishWire": {"status", "code", "message"},
    "FinishedWire": {"status"},
    "SettledWire": {"cost"},
    "RespondedWire": {"status"},
}
"""The fields of the first release, which every later one reads and writes."""


def parts(hint: Any) -> Iterator[Any]:
    """Yield the plain types that a hint is made of."""
    hint = hint.__value__ if isinstance(hint, TypeAliasType) else hint
    if get_origin(hint) is Literal:
        yield from (type(value) for value in get_args(hint))
    elif isinstance(hint, UnionType) or get_args(hint):
        for part in (get_origin(hint), *get_args(hint)):
            yield from parts(part) if part not in (UnionType, typing.Union) else ()
    else:
        yield hint


@pytest.mark.parametrize(("name", "value"), NAMES.items())
def test_a_name_that_was_published_stands(name: str, value: str) -> None:
    assert getattr(wire, name) == value


@pytest.mark.parametrize("name", FIRST_FIELDS)
def test_a_shape_needs_the_fields_of_the_first_release_and_no_others(name: str) -> None:
    required: frozenset[str] = WIRES[name].__required_keys__
    assert required - FIRST_FIELDS["TurnWire"] == FIRST_FIELDS[name] - FIRST_FIELDS["TurnWire"]


@pytest.mark.parametrize("name", sorted(WIRES))
def test_a_shape_is_made_of_scalars_lists_and_other_shapes(name: str) -> None:
    for hint in get_type_hints(WIRES[name]).values():
        assert {*parts(hint)} <= {*SCALARS, *WIRES.values(), dict, list, Any}


def test_names_of_steps_are_names_of_functions() -> None:
    names = [value for name, value in vars(wire).items() if name.isupper() and isinstance(value, str)]
    assert len({name.lower() for name in names}) == len(names)


def test_the_owner_of_a_turn_is_named_by_it() -> None:
    given: wire.TurnWire = {"tenant": "t", "subject": "user:1", "response": "resp_1", "traceparent": ""}
    assert wire.owner_from_wire(given) == Owner(tenant="t", subject="user:1")


def test_what_was_recorded_is_plain_json_without_reserved_names() -> None:
    for file in HISTORIES.glob("*/*.json"):
        text = file.read_text(encoding="utf-8")
        json.loads(text)
        assert not [name for name in ("__class__", "__module__", "__data__") if name in text]

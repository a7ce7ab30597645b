"""Does this release take and give the inputs and outputs of steps that the first release recorded?"""

from typing import Any, cast

import pytest
from pydantic import ConfigDict, TypeAdapter, with_config

from domain import wire
from domain.fleet.token_estimates import TokenEstimate
from domain.identity.owners import Owner
from domain.money.overheads import StepResources
from tests.frozen.documents import FOLDER, frozen_json

SHAPES: dict[str, tuple[type, type]] = {
    wire.RESPOND: (wire.TurnWire, wire.RespondedWire),
    wire.DELIVERY_ORCHESTRATION: (wire.DeliverWebhookWire, wire.WebhookDeliveredWire),
    wire.BEGIN: (wire.BeginWire, wire.BegunWire),
    wire.RECALL: (wire.TurnWire, wire.RecalledWire),
    wire.TRY_RECALL: (wire.TurnWire, wire.TriedWire),
    wire.ANTICIPATE: (wire.TurnWire, wire.TriedWire),
    wire.ROUTE: (wire.RouteWire, wire.RoutedWire),
    wire.INFER: (wire.InferWire, wire.InferredWire),
    wire.FINISH: (wire.FinishWire, wire.FinishedWire),
    wire.SETTLE: (wire.SettleWire, wire.SettledWire),
    wire.DELIVER_WEBHOOK: (wire.DeliverWebhookWire, wire.WebhookTriedWire),
}
VALUES = {wire.TRY_RECALL: wire.RecalledWire, wire.ANTICIPATE: wire.AnticipatedWire}
STRICT = ConfigDict(extra="forbid", strict=True)


def check(shape: type, value: dict[str, Any]) -> None:
    """Fail where the fields of a shape, optional ones included, are not exactly those of a value."""
    assert value.keys() == shape.__annotations__.keys()
    TypeAdapter(with_config(STRICT)(shape)).validate_python(value)


def step(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = frozen_json(f"wires/{name}")
    return found["input"], found["output"]


def test_the_names_of_steps_are_those_of_the_first_release() -> None:
    assert sorted(SHAPES) == sorted(file.stem for file in (FOLDER / "wires").glob("*.json"))


@pytest.mark.parametrize("name", SHAPES)
def test_an_input_has_the_fields_that_it_had(name: str) -> None:
    check(SHAPES[name][0], step(name)[0])


@pytest.mark.parametrize("name", SHAPES)
def test_an_output_has_the_fields_that_it_had(name: str) -> None:
    output = step(name)[1]
    spent = output.pop("spent", None)
    check(SHAPES[name][1], output)
    if spent is not None:
        check(wire.StepSpentWire, spent)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_a_step_beside_others_has_the_fields_that_it_had(name: str) -> None:
    check(VALUES[name], step(name)[1]["value"])


def test_nested_shapes_have_the_fields_that_they_had() -> None:
    check(wire.SizeWire, step(wire.ROUTE)[0]["size"])
    check(wire.SpentWire, step(wire.SETTLE)[0]["spent"])


def test_every_shape_is_frozen() -> None:
    checked = {shape for pair in SHAPES.values() for shape in pair} | {*VALUES.values()}
    nested = {wire.SizeWire, wire.StepSpentWire, wire.SpentWire}
    assert {value for name, value in vars(wire).items() if name.endswith("Wire")} == checked | nested


def test_the_readers_of_shapes_read_what_was_recorded() -> None:
    given = cast("wire.SettleWire", step(wire.SETTLE)[0])
    assert wire.owner_from_wire(given) == Owner(tenant="tenant-1", subject="user:alice")
    assert StepResources.from_wire(given.get("spent")) == StepResources(units=12.5, seconds=3.25, executions=8)
    size = cast("wire.SizeWire", step(wire.ROUTE)[0]["size"])
    tokens = TokenEstimate(expected=size["expected"], likely=size["likely"], ceiling=size["ceiling"])
    assert tokens == TokenEstimate(expected=100, likely=120, ceiling=200)

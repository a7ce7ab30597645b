"""Does this release take and give the inputs and outputs of steps that the first release recorded?"""

from copy import replace
from typing import Any, cast

import pytest
from pydantic import ConfigDict, TypeAdapter, with_config

from activities.infer import inferred
from domain import approval_wire, call_wire, place_wire, webhook_wire, wire
from domain.batches import batch_wire
from domain.identity.owners import Owner
from domain.log.capped_answers import CappedAnswer
from domain.log.escalations import Escalation
from domain.log.events import AttemptOutcome
from domain.log.transcript import Transcript
from domain.money.overheads import StepResources
from domain.tokens.estimates import TokenEstimate
from domain.tokens.sizes import CountWire
from orchestrators.continuation import Progress, take_over
from orchestrators.step_costs import StepCosts
from orchestrators.turn_waits import TurnWaits
from tests.frozen.documents import FOLDER, frozen_json

SHAPES: dict[str, tuple[type, type]] = {
    wire.RESPOND: (wire.RespondWire, wire.RespondedWire),
    wire.DELIVERY_ORCHESTRATION: (webhook_wire.DeliverWebhookWire, webhook_wire.WebhookDeliveredWire),
    wire.ENTER: (wire.EnterWire, wire.EnteredWire),
    wire.BEGIN: (wire.BeginWire, wire.BegunWire),
    wire.RECALL: (wire.TurnWire, wire.RecalledWire),
    wire.TRY_RECALL: (wire.TurnWire, wire.TriedWire),
    wire.ANTICIPATE: (wire.TurnWire, wire.TriedWire),
    wire.ROUTE: (wire.RouteWire, wire.RoutedWire),
    wire.INFER: (wire.InferWire, wire.InferredWire),
    wire.CALL_TOOL: (wire.CallToolWire, wire.CalledToolWire),
    wire.TRY_CALL_TOOL: (wire.CallToolWire, wire.TriedWire),
    wire.TRY_CALL_TOOLS: (call_wire.CallToolsWire, wire.TriedWire),
    approval_wire.ASK: (wire.TurnWire, approval_wire.AskedWire),
    wire.FINISH: (wire.FinishWire, wire.FinishedWire),
    wire.SETTLE: (wire.SettleWire, wire.SettledWire),
    batch_wire.RUN_BATCH: (batch_wire.RunBatchWire, batch_wire.BatchFinishedWire),
    batch_wire.RUN_LINES: (batch_wire.RunLinesWire, batch_wire.LinesRanWire),
    batch_wire.CHECK_BATCH: (batch_wire.BatchWire, batch_wire.BatchCheckedWire),
    batch_wire.TIME_BATCH: (batch_wire.TimeBatchWire, batch_wire.BatchTimedWire),
    batch_wire.RUN_LINE: (batch_wire.LineWire, wire.TriedWire),
    batch_wire.TALLY_LINES: (batch_wire.TallyWire, batch_wire.TalliedWire),
    batch_wire.FINISH_BATCH: (batch_wire.BatchWire, batch_wire.BatchFinishedWire),
    wire.DELIVER_WEBHOOK: (webhook_wire.DeliverWebhookWire, webhook_wire.WebhookTriedWire),
}
VALUES = {
    wire.TRY_RECALL: wire.RecalledWire,
    wire.ANTICIPATE: wire.AnticipatedWire,
    wire.TRY_CALL_TOOL: wire.CalledToolWire,
    wire.TRY_CALL_TOOLS: call_wire.CalledToolsWire,
    batch_wire.RUN_LINE: batch_wire.LineRanWire,
}
WAIT = {"backend": "gpu-l4", "reason": "start"}
COUNTED = {"counts": {"small": {"expected": 90, "likely": 90, "ceiling": 95, "counted_by": "tokenizer"}}}
WAITED = {**WAIT, "since": 1764400000.0, "until": 1764400009.5}
CONTINUED: dict[str, Any] = {
    "size": {"expected": 100, "likely": 120, "ceiling": 150, "bytes": 400},
    "attempts": {
        "routes": 17,
        "attempts": 16,
        "retries": 1,
        "backend": "gpu-l4",
        "excluded": {"api": "status 500"},
        "failures": {"gpu-l4": {"cold": 2}},
    },
    "waits": [WAITED],
    "spent": {"units": 12.5, "seconds": 3.25, "executions": 104},
}
"""What an earlier history leaves to the next one, as version 1.3 wrote it first."""

OPEN_ROUND: dict[str, Any] = {
    "called": {
        "mcp_1": {"outcome": "completed", "added": CONTINUED["size"]},
        "mcp_2": {"outcome": "running", "added": CONTINUED["size"], "until": 1_800_000_060.0},
    },
    "added": CONTINUED["size"],
    "asks": False,
}
"""What it leaves of a round whose calls run as tasks, as version 1.9 wrote it first."""

CAPPED = {"backend": "gpu-l4", "written": 900, "tried": 0}
ESCALATION = {"backend": "gpu-l4", "reason": "unparsed", "result": "completed", "code": ""}
ADDED: dict[type, dict[str, Any]] = {
    wire.RouteWire: {"capped": CAPPED, "prefers": "gpu-l4", "repeated": True, "escalation": ESCALATION},
    wire.InferWire: {"capped": True, "escalates": True, "claim": 4096},
    wire.RespondWire: {"continued": CONTINUED, "in_place": True},
    wire.RoutedWire: {"wait": WAIT, "escalates": True, "claim": 4096},
    wire.SizeWire: {**COUNTED, "signs": {"code": True, "turns": 2}},
    batch_wire.RunBatchWire: {"looks": 3, "at_once": 4},
    batch_wire.BatchCheckedWire: {"at_once": 4},
    wire.SettleWire: {"status": "completed", "code": "", "waits": [WAITED]},
    wire.BegunWire: {"calls": ["mcp_1"]},
    wire.CallToolWire: {"looks": True},
    call_wire.CallToolsWire: {"looks": True},
    wire.CalledToolWire: {"until": 1_800_000_060.0},
    wire.InferredWire: {
        "calls": ["mcp_1"],
        "added": {"expected": 1, "likely": 2, "ceiling": 3, "bytes": 4},
        "hands_back": True,
        "capped": CAPPED,
        "escalation": ESCALATION,
    },
}
"""Optional fields that later releases have added to a shape; the recorded values have none of them."""

STRICT = ConfigDict(extra="forbid", strict=True)


def check(shape: type, value: dict[str, Any]) -> None:
    """Fail where the fields of a shape are not exactly those of a value and the added ones, which may be missing."""
    grown = value | ADDED.get(shape, {})
    assert grown.keys() == shape.__annotations__.keys()
    for each in (value, grown):
        TypeAdapter(with_config(STRICT)(shape)).validate_python(each)


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
    check(wire.SizeWire, ADDED[wire.InferredWire]["added"])
    check(CountWire, COUNTED["counts"]["small"])
    check(wire.SpentWire, step(wire.SETTLE)[0]["spent"])
    check(wire.WaitReasonWire, WAIT)
    check(wire.WaitWire, WAITED)
    check(wire.CappedWire, CAPPED)
    check(wire.EscalationWire, ESCALATION)
    check(call_wire.OpenRoundWire, OPEN_ROUND)


def test_every_shape_is_frozen() -> None:
    checked = {shape for pair in SHAPES.values() for shape in pair} | {*VALUES.values()}
    nested = {
        place_wire.ClaimWire,
        wire.CappedWire,
        wire.EscalationWire,
        wire.SizeWire,
        wire.StepSpentWire,
        wire.SpentWire,
        wire.WaitReasonWire,
        wire.WaitWire,
        call_wire.OpenRoundWire,
    }
    modules = (wire, call_wire, webhook_wire, batch_wire, approval_wire)
    shapes = {name: value for module in modules for name, value in vars(module).items()}
    assert {value for name, value in shapes.items() if name.endswith("Wire")} == checked | nested


def test_the_readers_of_shapes_read_what_was_recorded() -> None:
    given = cast("wire.SettleWire", step(wire.SETTLE)[0])
    assert wire.owner_from_wire(given) == Owner(tenant="tenant-1", subject="user:alice")
    assert StepResources.from_wire(given.get("spent")) == StepResources(units=12.5, seconds=3.25, executions=8)
    size = cast("wire.SizeWire", step(wire.ROUTE)[0]["size"])
    tokens = TokenEstimate(expected=size["expected"], likely=size["likely"], ceiling=size["ceiling"])
    assert tokens == TokenEstimate(expected=100, likely=120, ceiling=200)


def test_a_turn_goes_on_with_what_an_earlier_release_left_to_it() -> None:
    costs, waits = StepCosts(), TurnWaits()
    take_over(CONTINUED, costs, waits)
    progress = Progress.from_wire(CONTINUED)
    assert progress.size == CONTINUED["size"]
    assert progress.history.between_rounds() == CONTINUED["attempts"]
    escalated = replace(progress.history, escalation=ESCALATION, is_escalating=True)
    assert escalated.between_rounds() == {**CONTINUED["attempts"], "escalation": ESCALATION}
    assert costs.for_settle()["spent"] == CONTINUED["spent"]
    assert waits.for_settle() == {"waits": [WAITED]}
    assert progress.open_round is None
    assert Progress.from_wire({**CONTINUED, "open_round": OPEN_ROUND}).open_round == OPEN_ROUND


def test_the_end_of_an_attempt_is_read_and_written_as_it_was() -> None:
    capped, escalation = CappedAnswer("gpu-l4", 900), Escalation("gpu-l4", "unparsed", "completed", "")
    outcome = AttemptOutcome(attempt=1, result="handover", capped=capped, escalation=escalation)
    written = inferred(outcome, Transcript())
    assert (written.get("capped"), written.get("escalation")) == (CAPPED, ESCALATION)
    assert CappedAnswer.from_wire(cast("wire.CappedWire", CAPPED)) == capped
    assert Escalation.from_wire(cast("wire.EscalationWire", ESCALATION)) == escalation

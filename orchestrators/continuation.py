"""When does a turn go on in a new history, and what does it carry over?

The host replays the whole history after every step, so a turn of many rounds begins a new one between two rounds. An
event that comes at that moment may be lost; ours only wakes, and the next route finds that the turn has ended.
"""

from typing import Any, Final, Self

from msgspec import Struct, field

from domain import wire
from orchestrators.attempts import AttemptHistory
from orchestrators.context import Context
from orchestrators.step_costs import StepCosts
from orchestrators.turn_waits import TurnWaits

MAX_EVENTS: Final = 200
EVENTS_OF_A_RESULT: Final = 4
"""A step is scheduled and completed, and the orchestrator starts and ends a run; parallel steps may share a run."""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a turn has come between two rounds: the size of its next input, and its attempts."""

    size: wire.SizeWire
    history: AttemptHistory = field(default_factory=AttemptHistory)

    @classmethod
    def from_wire(cls, body: dict[str, Any]) -> Self:
        return cls(size=body["size"], history=AttemptHistory(**body["attempts"]))


def is_long(context: Context, costs: StepCosts) -> bool:
    """Tell whether the turn goes on in a new history. Every replay counts the same results."""
    return context.version not in wire.ONE_HISTORY and costs.results * EVENTS_OF_A_RESULT > MAX_EVENTS


def go_on(context: Context, turn: wire.TurnWire, progress: Progress, costs: StepCosts, waits: TurnWaits) -> None:
    """Begin a new history with what the turn has; the orchestrator must return after it."""
    carried = {"size": progress.size, "attempts": progress.history.between_rounds(), "waits": waits.waits}
    in_place = {"in_place": True} if waits.in_place else {}
    context.continue_as_new({**turn, **in_place, "continued": {**carried, **costs.for_settle()}})


def take_over(continued: dict[str, Any], costs: StepCosts, waits: TurnWaits) -> None:
    """Take over what the turn's earlier histories have used and waited for."""
    costs.take_over(continued.get("spent"))
    waits.waits += continued["waits"]

"""When does a turn go on in a new history, and what does it carry over?

The host replays the whole history after every step, so a turn of many rounds begins a new one between two rounds, or
between two looks at the tasks of a round. An event that comes at that moment may be lost; ours only wakes, and the next
route or look finds that the turn has ended.
"""

from typing import Any, Final, Self

from msgspec import Struct, field

from domain import wire
from domain.call_wire import ONE_LOOK_A_STEP, OpenRoundWire
from orchestrators.attempts import AttemptHistory
from orchestrators.context import Context
from orchestrators.step_costs import StepCosts
from orchestrators.turn_waits import TurnWaits

MAX_EVENTS: Final = 200
EVENTS_OF_A_RESULT: Final = 4
"""A step is scheduled and completed, and the orchestrator starts and ends a run; parallel steps may share a run."""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a turn has come: the size of its next input, its attempts, and the round whose calls still run."""

    size: wire.SizeWire
    history: AttemptHistory = field(default_factory=AttemptHistory)
    open_round: OpenRoundWire | None = None

    @classmethod
    def from_wire(cls, body: dict[str, Any]) -> Self:
        history = AttemptHistory(**body["attempts"])
        return cls(size=body["size"], history=history, open_round=body.get("open_round"))


def is_long(context: Context, costs: StepCosts) -> bool:
    """Tell whether the turn goes on in a new history. Every replay counts the same results."""
    return context.version not in wire.ONE_HISTORY and costs.results * EVENTS_OF_A_RESULT > MAX_EVENTS


def is_long_between_looks(context: Context, costs: StepCosts) -> bool:
    """Tell whether the turn goes on in a new history while calls run as tasks of their servers."""
    return context.version not in ONE_LOOK_A_STEP and is_long(context, costs)


def go_on(context: Context, turn: wire.TurnWire, progress: Progress, costs: StepCosts, waits: TurnWaits) -> None:
    """Begin a new history with what the turn has; the orchestrator must return after it."""
    carried = {"size": progress.size, "attempts": progress.history.between_rounds(), "waits": waits.waits}
    open_round = {"open_round": progress.open_round} if progress.open_round else {}
    in_place = {"in_place": True} if waits.in_place else {}
    context.continue_as_new({**turn, **in_place, "continued": {**carried, **open_round, **costs.for_settle()}})


def take_over(continued: dict[str, Any], costs: StepCosts, waits: TurnWaits) -> None:
    """Take over what the turn's earlier histories have used and waited for."""
    costs.take_over(continued.get("spent"))
    waits.waits += continued["waits"]

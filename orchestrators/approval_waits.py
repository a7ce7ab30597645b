"""In what order does a turn wait in place for approvals?

ask → (the approved calls | wait)… A wait is on durable timers of at most MAX_TIMER_S, with no step in between.
"""

from collections.abc import Sequence
from typing import Final

from domain import wire
from domain.approval_wire import ASK, AskedWire, decided_event
from orchestrators.context import Context, DurableTask, Steps
from orchestrators.rounds import run_calls, size_after
from orchestrators.steps import call_step, first_within, seconds_now
from orchestrators.turn_waits import TurnWaits

MAX_TIMER_S: Final = 5 * 86_400.0
"""The SDK cuts a longer timer into pieces, and a piece that was cancelled keeps the instance alive for days."""

LEAST_WAIT_S: Final = 1.0
APPROVAL: wire.WaitReasonWire = {"backend": "", "reason": "approval"}


class SettledRequests:
    """What became of the requests of one round: what follows, the calls that were run, and what all of that adds.

    `added` is the size that the answers add to the input of the next round.
    """

    def __init__(self) -> None:
        self.follows = ""
        self.called: list[wire.CalledToolWire] = []
        self.added: wire.SizeWire | None = None

    def add(self, size: wire.SizeWire, called: Sequence[wire.CalledToolWire] = ()) -> None:
        self.called += called
        self.added = size_after(self.added, size, called) if self.added else size_after(size, None, called)


def settle_requests(context: Context, turn: wire.TurnWire, waits: TurnWaits) -> Steps[SettledRequests]:
    """Ask for approvals, and run each approved call, until all requests are answered or the turn waits no longer."""
    settled, events = SettledRequests(), DecisionEvents(context)
    while True:
        asked: AskedWire = yield call_step(context, ASK, turn)
        settled.follows = asked["follows"]
        settled.add(asked["added"], (yield from run_calls(context, turn, asked["calls"])))
        if is_over(settled):
            return settled
        if asked["follows"] == "wait" and (yield from waits.track(context, APPROVAL, events.wait(asked))):
            settled.follows = "ended"
            return settled


def is_over(settled: SettledRequests) -> bool:
    """Tell whether the turn goes on, or ends: after its last answer, or because of a call."""
    stops = any(each["outcome"] in ("ended", "stopped") for each in settled.called)
    return stops or settled.follows not in ("call", "wait")


class DecisionEvents:
    """Waits for the events of decisions, each of which has a name of its own.

    An event only wakes; the decision is in the store. Where it is not there yet, the turn looks again a little later.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.cancelled = context.wait_for_external_event(wire.CANCELLED_EVENT)
        self.tasks: dict[str, DurableTask] = {}
        self.heard: set[str] = set()
        self.looks = 0

    def wait(self, asked: AskedWire) -> Steps[bool]:
        """Wait until a request is decided or has expired. Return True where the response was cancelled meanwhile."""
        for request in asked["open"]:
            if request not in self.tasks:
                self.tasks[request] = self.context.wait_for_external_event(decided_event(request))
        unheard = {name: self.tasks[name] for name in asked["open"] if name not in self.heard}
        until = self.until(asked, is_early=len(unheard) < len(asked["open"]))
        winner = yield from self.first(until, (self.cancelled, *unheard.values()))
        self.heard |= {name for name, task in unheard.items() if task is winner}
        return winner is self.cancelled

    def until(self, asked: AskedWire, *, is_early: bool) -> float:
        """Return when to look again; soon where an event came, and its decision was not in the store."""
        if not is_early:
            return asked["until"]
        self.looks += 1
        return min(asked["until"], seconds_now(self.context) + 2.0 ** min(self.looks, 16))

    def first(self, until: float, tasks: tuple[DurableTask, ...]) -> Steps[DurableTask | None]:
        """Return the event that is raised first; None where the time has passed."""
        left_s = max(until - seconds_now(self.context), LEAST_WAIT_S)
        while left_s > 0:
            winner = yield from first_within(self.context, min(left_s, MAX_TIMER_S), tasks)
            if winner is not None:
                return winner
            left_s = until - seconds_now(self.context)
        return None

"""Is it worth its price to start one more instance of a GPU whose instances have no room for the turns in line?

The instances share the work, so one more costs its start and its idle period. It saves waiting: a turn that would wait
longer than the start takes is served by one instance more from then on. Turns that come later are not foreseen; they
count when they are in line.
"""

from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.several import wanted_count
from domain.routing.candidates import Candidate
from domain.routing.costs import thousandths
from domain.routing.queueing import QueuedTurn
from domain.routing.rent_or_buy import DEFAULT_RULE, Rule, decimal_of, session_price

MOST_IN_LINE: Final = 10_000


class FurtherVerdict(Struct, frozen=True, kw_only=True):
    """Whether one more instance starts, and why; `price` is that of its session, `saved` what waiting less is worth."""

    starts: bool
    reason: str
    saved: Decimal
    price: Decimal

    def to_document(self) -> dict[str, Any]:
        amounts = {"saved_usd": f"{self.saved:f}", "price_usd": f"{self.price:f}"}
        return {"starts": self.starts, "reason": self.reason, **amounts}


def further_verdict(
    found: Candidate,
    state: BackendState,
    backend: Backend,
    turn: QueuedTurn,
    *,
    now: float,
    time_value: Decimal,
    left_s: float,
    rule: Rule = DEFAULT_RULE,
) -> FurtherVerdict | None:
    """Decide for a turn in line that has `left_s` seconds to its deadline; None where no more instance is allowed."""
    count = wanted_count(state)
    most = backend.instances.limits(now).maximum if backend.instances else 1
    if count >= most or turn.is_deferrable:
        return None
    line = Line(
        turn_s=(state.speed.service_s or found.busy_s) / backend.limits.concurrency,
        instances=count,
        start_s=state.start_times.p50_s,
    )
    in_line = min(state.load.queued(now, apart_from=turn.response) + 1, MOST_IN_LINE)
    price = decimal_of(rule.threshold) * session_price(backend.price, line.start_s)
    saved = time_value * thousandths(sum(line.saved_s(place) for place in range(in_line)))
    place = state.load.queued_before(turn.response, turn.place, now)
    is_too_late = line.wait_s(place) + found.busy_s > left_s >= line.wait_s(place) - line.saved_s(place) + found.busy_s
    if is_too_late:
        reason = "without one more instance the turn in line would miss its deadline"
    else:
        verb = "reach" if saved >= price else "are below"
        reason = f"{in_line} turns in line would save ${saved:.6f} of waiting, which {verb} the price of ${price:.6f}"
    return FurtherVerdict(starts=is_too_late or saved >= price, reason=reason, saved=saved, price=price)


class Line(Struct, frozen=True, kw_only=True):
    """The turns that wait: every `turn_s` seconds one of them is served by each instance; a start takes `start_s`."""

    turn_s: float
    instances: int
    start_s: float

    def wait_s(self, place: int) -> float:
        """Return how long the turn with so many before it waits for a place."""
        return (place + 1) * self.turn_s / self.instances

    def saved_s(self, place: int) -> float:
        """Return how much less it waits with one more instance that starts now."""
        return max(0.0, self.wait_s(place) - self.start_s) / (self.instances + 1)

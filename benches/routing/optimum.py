"""What is the least possible cost of the traffic, with knowledge of all future requests?"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.routing.rules.replay import PastDemand, SessionTerms


@dataclass(slots=True, kw_only=True)
class OpenSessions:
    """The GPU sessions that the optimum may have open, each with the end of its last work.

    A `fresh` session is still busy with its first work; requests until then are free, so its cost is fixed. For the
    `grown` ones the cost is stored minus what grows with time (rents so far, seconds so far), the smallest first. A
    session without work ends after `stays_s` seconds.
    """

    terms: SessionTerms
    stays_s: float
    fresh: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])
    grown: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])

    def served(self, turn: PastDemand, rents: float) -> float:
        """Return the least cost of serving the turn in an open session; `rents` is all earlier rent."""
        ends = turn.at + turn.busy_s
        while self.fresh and self.fresh[0][0] <= ends:
            self.grow(*self.fresh.popleft(), rents)
        while self.grown and self.grown[0][0] + self.stays_s < turn.at:
            self.grown.popleft()
        free = min((cost for _, cost in self.fresh), default=float("inf"))
        lengthened = self.grown[0][1] + rents + self.terms.second_usd * ends if self.grown else float("inf")
        return min(free, lengthened)

    def grow(self, ends: float, cost: float, rents: float) -> None:
        value = cost - rents - self.terms.second_usd * ends
        while self.grown and self.grown[-1][1] >= value:
            self.grown.pop()
        self.grown.append((ends, value))


def optimum(demand: Sequence[PastDemand], terms: SessionTerms, *, idle_since: float | None = None) -> float:
    """Return the least cost: each request rents, starts a session, or extends an open one. Room is no limit.

    With `idle_since` a session is open already, and its last work ended then; what is left of its idle period is paid.
    """
    return least_cost(demand, OpenSessions(terms=terms, stays_s=terms.idle_s), terms.price, idle_since=idle_since)


def controlled_optimum(demand: Sequence[PastDemand], terms: SessionTerms) -> float:
    """Return the least cost where a session may be ended at any time: it has no idle period that must be paid."""
    sessions = OpenSessions(terms=terms, stays_s=math.inf)
    return least_cost(demand, sessions, terms.second_usd * terms.start_s)


def least_cost(
    demand: Sequence[PastDemand], sessions: OpenSessions, price: float, *, idle_since: float | None = None
) -> float:
    """Return the least cost of the demand; `price` is what a session without work costs."""
    terms = sessions.terms
    cost, rents = 0.0, 0.0
    if idle_since is not None:
        sessions.grow(idle_since, cost, rents)
    for turn in demand:
        taken = sessions.served(turn, rents)
        begun = cost + price + terms.second_usd * turn.busy_s
        rents += turn.saved
        sessions.fresh.append((turn.at + terms.start_s + turn.busy_s, begun))
        sessions.grow(turn.at + turn.busy_s, taken, rents)
        cost = min(cost + turn.saved, taken, begun)
    return cost

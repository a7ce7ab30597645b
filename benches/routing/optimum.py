"""What is the least possible cost of the traffic, with knowledge of all future requests?"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.routing.rules.replay import PastDemand, SessionTerms


class OpenSession(NamedTuple):
    """A GPU session that may be open: when its work ends, and the cost until then, less all rents so far."""

    ends: float
    cost: float


@dataclass(slots=True, kw_only=True)
class OpenSessions:
    """All that may be open, without those that others are never worse than. A session without work ends after `stays_s`
    seconds.
    """

    terms: SessionTerms
    stays_s: float
    open: Sequence[OpenSession] = field(default_factory=list[OpenSession])

    def served(self, turn: PastDemand) -> Sequence[OpenSession]:
        """Return the open sessions after each of them has served the turn. What they work on already is free."""
        ends = turn.at + turn.busy_s
        rate, alive = self.terms.second_usd, (each for each in self.open if each.ends + self.stays_s >= turn.at)
        return [
            OpenSession(max(each.ends, ends), each.cost + rate * max(0.0, ends - each.ends) - turn.saved)
            for each in alive
        ]

    def keep(self, sessions: Iterable[OpenSession], now: float) -> None:
        """Keep the sessions that may still be the best."""
        alive = (each for each in sessions if each.ends + self.stays_s >= now)
        cheapest, kept = math.inf, list[OpenSession]()
        for each in sorted(alive, key=lambda each: (-each.ends, each.cost)):
            if each.cost < cheapest:
                cheapest = each.cost
                kept.append(each)
        self.open = kept if math.isfinite(self.stays_s) else self.worth_lengthening(kept)

    def worth_lengthening(self, sessions: Sequence[OpenSession]) -> Sequence[OpenSession]:
        """Return those that cost less than a shorter one that is lengthened: it never ends by itself."""
        least, kept = math.inf, list[OpenSession]()
        for each in sorted(sessions):
            at_once = each.cost - self.terms.second_usd * each.ends
            if at_once < least:
                least = at_once
                kept.append(each)
        return kept


def optimum(demand: Sequence[PastDemand], terms: SessionTerms, *, idle_since: float | None = None) -> float:
    """Return the least cost: each request rents, starts a session, or extends an open one. Room is no limit.

    With `idle_since` a session is open already, and its last work ended then; what is left of its idle period is paid.
    """
    return least_cost(demand, OpenSessions(terms=terms, stays_s=terms.idle_s), terms.price, idle_since=idle_since)


def controlled_optimum(demand: Sequence[PastDemand], terms: SessionTerms, *, idle_since: float | None = None) -> float:
    """Return the least cost where a session may be ended at any time: it has no idle period that must be paid."""
    sessions = OpenSessions(terms=terms, stays_s=math.inf)
    return least_cost(demand, sessions, terms.second_usd * terms.start_s, idle_since=idle_since)


def least_cost(
    demand: Sequence[PastDemand], sessions: OpenSessions, price: float, *, idle_since: float | None = None
) -> float:
    """Return the least cost of the demand; `price` is what a session without work costs."""
    terms = sessions.terms
    cost, rents = 0.0, 0.0
    if idle_since is not None:
        sessions.open = [OpenSession(idle_since, 0.0)]
    for turn in demand:
        taken = sessions.served(turn)
        begun = cost + price + terms.second_usd * turn.busy_s
        rents += turn.saved
        cheapest = min((each.cost for each in taken), default=math.inf) + rents
        cost = min(cost + turn.saved, cheapest, begun)
        new = OpenSession(turn.at + terms.start_s + turn.busy_s, begun - rents)
        sessions.keep((*sessions.open, *taken, new), turn.at)
    return cost


def drawn_optimum(
    demand: Sequence[PastDemand],
    terms: SessionTerms,
    starts_s: Sequence[float],
    *,
    stays_s: float = math.inf,
    idle_since: float | None = None,
) -> float:
    """Return the least cost where each start takes its own known time. It keeps that for each number of starts so far.

    There are as many starts as turns. A session may be ended at any time, or has an idle period of `stays_s` seconds
    that must be paid.
    """
    idle_s = stays_s if math.isfinite(stays_s) else 0.0
    costs, rents = [0.0], 0.0
    sessions = [OpenSessions(terms=terms, stays_s=stays_s)]
    if idle_since is not None:
        sessions[0].open = [OpenSession(idle_since, 0.0)]
    for turn in demand:
        rents += turn.saved
        costs.append(math.inf)
        sessions.append(OpenSessions(terms=terms, stays_s=stays_s))
        for number in reversed(range(len(costs))):
            start_s, before = (starts_s[number - 1], costs[number - 1]) if number else (0.0, math.inf)
            taken = sessions[number].served(turn)
            begun = before + terms.second_usd * (start_s + idle_s + turn.busy_s)
            cheapest = min((each.cost for each in taken), default=math.inf) + rents
            costs[number] = min(costs[number] + turn.saved, cheapest, begun)
            new = OpenSession(turn.at + start_s + turn.busy_s, begun - rents)
            sessions[number].keep((*sessions[number].open, *taken, new), turn.at)
    return min(costs)

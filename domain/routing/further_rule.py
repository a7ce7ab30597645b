"""Is it worth its price to start more instances of a GPU whose instances have no room for all turns?

The instances share the work, so one more costs its start and its idle period. Two things pay for it. A turn in line
that would wait longer than the start takes is served sooner. And a turn that another backend takes instead would have
cost less here: what such turns lost is rental spend of the next instance, as for the first one (`rent_or_buy`).
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from msgspec import Struct

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import GrowthReason
from domain.fleet.instances.inferred import grows_itself
from domain.fleet.instances.lease import is_counted
from domain.fleet.instances.memory import claims_ahead, instances_to_start, share_of
from domain.fleet.instances.numbered import instance_name
from domain.fleet.instances.places import instances_asked, next_instance_s
from domain.fleet.instances.several import most_at
from domain.routing.candidates import Candidate
from domain.routing.costs import thousandths
from domain.routing.estimates import Readiness
from domain.routing.queueing import QueuedTurn
from domain.routing.rent_or_buy import DEFAULT_RULE, NOTHING, Rule, decimal_of, session_price
from domain.routing.router import RouteDecision

MOST_IN_LINE: Final = 10_000
LEAST_AGE_S: Final = 1.0


class FurtherVerdict(Struct, frozen=True, kw_only=True):
    """How many more instances of a backend start, and why.

    `price` is that of a session, `saved` what the first of them saves of waiting, `spent` what it would have saved in
    recent turns that other backends took.
    """

    backend: str
    more: int
    reason: str
    saved: Decimal
    price: Decimal
    spent: Decimal = NOTHING

    @property
    def starts(self) -> bool:
        return self.more > 0

    @property
    def growth_reason(self) -> GrowthReason:
        return GrowthReason(reason=self.reason, spent=self.spent, saved=self.saved, price=self.price)

    def to_document(self) -> dict[str, Any]:
        amounts = {"saved_usd": f"{self.saved:f}", "spent_usd": f"{self.spent:f}", "price_usd": f"{self.price:f}"}
        facts = {"backend": self.backend, "starts": self.starts, "more": self.more, "reason": self.reason}
        return {**facts, **amounts}


class FurtherTerms(Struct, frozen=True, kw_only=True):
    """What a decision needs beside the backend: the time, its value in dollars a second, the rule, and rental spend.

    `left_s` is the time to the deadline of the turn; `spent` is that of the next instance, with this turn.
    """

    now: float
    time_value: Decimal
    left_s: float
    rule: Rule = DEFAULT_RULE
    spent: Decimal = NOTHING


def next_instance(backend: Backend, state: BackendState, now: float) -> str | None:
    """Return the name of the instance that would be started next; None where no more is allowed."""
    count = instances_asked(backend, state, now)
    may_start = is_counted(backend) or grows_itself(backend)
    return instance_name(backend.name, count) if may_start and count < most_at(backend, now) else None


class AllTurns(NamedTuple):
    """How many turns run or are in line, the one included that asks, and the tokens of KV memory that they claim."""

    requests: int
    claimed: int

    def instances(self, backend: Backend) -> int:
        """Return how many instances have room for all of them."""
        return instances_to_start(backend, self.requests, self.claimed)

    def places(self, backend: Backend) -> float:
        """Return how many of them an instance serves at once: fewer than its concurrency where they fill its memory."""
        concurrency, memory = backend.limits.concurrency, backend.limits.kv_tokens
        if memory is None or not self.claimed:
            return concurrency
        return min(concurrency, max(1.0, memory * self.requests / self.claimed))


def all_turns(found: Candidate, state: BackendState, backend: Backend, turn: QueuedTurn, now: float) -> AllTurns:
    line = state.load.without_place(turn.response)
    in_line = sum(claims_ahead(line, backend, turn.response, math.inf, now))
    claimed = line.claimed(now, unknown=share_of(backend)) + in_line + found.found.claim
    return AllTurns(line.running(now) + line.queued(now) + 1, claimed)


def further_verdict(
    found: Candidate, state: BackendState, backend: Backend, turn: QueuedTurn, terms: FurtherTerms
) -> FurtherVerdict | None:
    """Decide for a turn in line, or for one that goes elsewhere; None where no more instance is allowed."""
    now, count = terms.now, instances_asked(backend, state, terms.now)
    if turn.is_deferrable or next_instance(backend, state, now) is None:
        return None
    turns = all_turns(found, state, backend, turn, now)
    line = line_at(found, state, backend, turns, instances=count)
    in_line = expected_line(state, turn, now, is_up=not found.remaining_start_s)
    price = decimal_of(terms.rule.threshold) * session_price(backend.price, line.start_s)
    saved = terms.time_value * line.all_saved_s(in_line)
    is_too_late = line.is_too_late(found, state, turn, terms)
    needed = min(most_at(backend, now), turns.instances(backend)) - count
    worth = (terms.time_value * line.with_more(more).all_saved_s(in_line) >= price for more in range(1, needed))
    pays = saved + terms.spent >= price and (needed > 0 or terms.spent > 0)
    more = 1 + sum(worth) if is_too_late or pays else 0
    reason = why(saved, terms.spent, price, in_line=in_line, is_too_late=is_too_late)
    if not more and saved + terms.spent >= price:
        reason = f"{reason}, but the instances that run or start have room for all {turns.requests} turns"
    return FurtherVerdict(backend=backend.name, more=more, reason=reason, saved=saved, price=price, spent=terms.spent)


def why(saved: Decimal, spent: Decimal, price: Decimal, *, in_line: int, is_too_late: bool) -> str:
    if is_too_late:
        return "without one more instance the turn in line would miss its deadline"
    verb = "reach" if saved + spent >= price else "are below"
    lost = f" and ${spent:.6f} lost at other backends" if spent else ""
    return f"{in_line} turns in line would save ${saved:.6f} of waiting{lost}, which {verb} the price of ${price:.6f}"


def line_at(found: Candidate, state: BackendState, backend: Backend, turns: AllTurns, *, instances: int) -> "Line":
    return Line(
        turn_s=(state.speed.service_s or found.busy_s) / turns.places(backend),
        instances=instances,
        start_s=state.start_times.p50_s,
        first_s=found.remaining_start_s,
    )


def expected_line(state: BackendState, turn: QueuedTurn, now: float, *, is_up: bool) -> int:
    """Return how many turns will be in line: it grows on, for a start at most.

    Behind a backend that is up it is expected to grow for as long as it has grown. Before that all turns are in line,
    so that it shows how many come.
    """
    in_line = state.load.queued(now, apart_from=turn.response) + 1
    since = min((each.admitted_at for each in state.load.queue_places.values() if each.until > now), default=now)
    age_s = max(now - min(since, turn.admitted_at), LEAST_AGE_S)
    periods = state.start_times.p50_s / age_s
    return min(in_line + int(in_line * (min(1.0, periods) if is_up else periods)), MOST_IN_LINE)


class Line(Struct, frozen=True, kw_only=True):
    """The turns that wait: every `turn_s` seconds one of them is served by each instance; a start takes `start_s`.

    No instance is up for `first_s` seconds.
    """

    turn_s: float
    instances: int
    start_s: float
    first_s: float = 0.0

    def with_more(self, more: int) -> "Line":
        return Line(turn_s=self.turn_s, instances=self.instances + more, start_s=self.start_s, first_s=self.first_s)

    def wait_s(self, place: int) -> float:
        """Return how long the turn with so many before it waits for a place."""
        return self.first_s + (place + 1) * self.turn_s / self.instances

    def saved_s(self, place: int) -> float:
        """Return how much less it waits with one more instance that starts now."""
        return max(0.0, self.wait_s(place) - max(self.start_s, self.first_s)) / (self.instances + 1)

    def all_saved_s(self, in_line: int) -> Decimal:
        return thousandths(sum(self.saved_s(place) for place in range(in_line)))

    def is_too_late(self, found: Candidate, state: BackendState, turn: QueuedTurn, terms: FurtherTerms) -> bool:
        """Return whether the turn meets its deadline with one more instance alone."""
        place = state.load.queued_before(turn.response, turn.place, terms.now)
        ends_s = self.wait_s(place) + found.busy_s
        return ends_s > terms.left_s >= ends_s - self.saved_s(place)


def overflow(
    decision: RouteDecision, backends: Mapping[str, Backend], states: Mapping[str, BackendState], terms: FurtherTerms
) -> Mapping[str, Decimal]:
    """Return what a turn that another backend takes would have saved on one more instance of each that is full.

    Keys are the names of these instances. Those that start already are waited for.
    """
    chosen = decision.chosen
    if chosen is None:
        return {}
    found: dict[str, Decimal] = {}
    for each in decision.candidates[1:]:
        backend = backends[each.backend]
        if backend.max_instances == 1 or not each.found.queue_s or each.readiness is not Readiness.UP:
            continue
        state = states[each.backend]
        name = next_instance(backend, state, terms.now)
        saved = chosen.score - terms.time_value * thousandths(each.seconds - each.found.queue_s)
        if name and saved > 0 and next_instance_s(state, terms.now) == float("inf"):
            found[name] = saved
    return found

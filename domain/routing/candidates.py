"""How do the backends that can serve a turn compare, and what would a cold one save if it were up?"""

from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from domain.fleet.catalog import ContinuationMode
from domain.fleet.instances.memory import KvMemory
from domain.routing.costs import added_cost, estimate, score_terms, waiting_value
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption
from domain.routing.filters import (
    LATE,
    Filters,
    Rejection,
    is_in_time,
    rejection_after_estimate,
    rejection_before_estimate,
)
from domain.routing.rent_or_buy import NOTHING, RentOrBuy, rent_or_buy, session_price, window_s
from domain.routing.work.durations import durations


class Candidate(Struct, frozen=True):
    """A backend that can serve the turn. The score, in dollars, is the sum of its terms: the lowest is picked.

    `remaining_start_s` is the part of the expected seconds until the backend is up; `session` says whether a GPU
    session of this backend is worth its price. `memory` is the KV memory of the backend, None where it is not known.
    """

    backend: str
    found: Estimate
    terms: Mapping[str, Decimal]
    score: Decimal
    readiness: Readiness = Readiness.UP
    remaining_start_s: float = 0.0
    session: RentOrBuy | None = None
    memory: KvMemory | None = None

    @property
    def cost(self) -> Decimal:
        return self.found.cost

    @property
    def seconds(self) -> float:
        return self.found.seconds

    @property
    def busy_s(self) -> float:
        return self.found.busy_s

    @property
    def late_s(self) -> float:
        return self.found.late_s

    @property
    def worst_s(self) -> float:
        return self.found.worst_s

    @property
    def worst_cost(self) -> Decimal:
        return self.found.worst_cost

    @property
    def output_tokens(self) -> int:
        return self.found.output_tokens

    @property
    def reason(self) -> str:
        seconds = round(self.seconds, 3)
        return f"is {self.readiness}: estimated {seconds:,.1f} s and ${self.cost:.6f} for {self.found.why_cost}"

    @property
    def is_cold_for_nothing(self) -> bool:
        return self.session is not None and self.readiness is Readiness.COLD and not self.session.warms_up

    @property
    def is_last(self) -> bool:
        """Return whether this backend is picked only if no other can serve the turn."""
        return self.found.late_s > 0 or self.is_cold_for_nothing

    @property
    def why_last(self) -> str | None:
        if self.late_s:
            return f"a slow start would exceed the deadline by {self.late_s:,.1f} s"
        return self.session.reason if self.session and self.is_cold_for_nothing else None

    @property
    def saving(self) -> Decimal:
        """What a GPU session of this backend saves in this turn, in dollars."""
        return self.session.scheduled or NOTHING if self.session else NOTHING


class EvaluatedOption(Struct, frozen=True):
    """An option with its estimate or its rejection; with both if it takes too long.

    `filters` are those of its model.
    """

    option: RoutingOption
    filters: Filters
    found: Estimate | None
    rejection: Rejection | None

    @property
    def is_eligible(self) -> bool:
        return self.rejection is None

    @property
    def scales_to_zero(self) -> bool:
        return self.option.backend.cold_start.scales_to_zero


class Comparison(NamedTuple):
    """The candidates, and the cold backends that can serve the turn, apart from the time of their start.

    `always_on_cost` is the least cost in dollars at a backend that never scales to zero; None where none is eligible.
    """

    candidates: tuple[Candidate, ...]
    cold: tuple[Candidate, ...]
    always_on_cost: Decimal | None


def evaluate(option: RoutingOption, filters: Filters) -> EvaluatedOption:
    """Filter and estimate an option; `filters` are those of its model."""
    early = rejection_before_estimate(option, filters)
    return EvaluatedOption(option, filters, None, early) if early else estimated(option, filters)


def estimated(option: RoutingOption, filters: Filters) -> EvaluatedOption:
    """Evaluate an option that no filter has rejected before its estimate."""
    found = estimate(option, filters.demand)
    rejection = rejection_after_estimate(option, found, filters)
    out = rejection is not None and rejection.code != LATE
    return EvaluatedOption(option, filters, None if out else found, rejection)


def compare(evaluated: Sequence[EvaluatedOption], filters: Filters) -> Comparison:
    """Score the warm backends, then the cold ones, which have to beat the best warm one to be worth their start."""
    demand = filters.demand
    warm = [each for each in evaluated if each.option.readiness is not Readiness.COLD]
    able = [each for each in warm if each.rejection is None]
    always_on = [candidate(each, demand, None) for each in able if not each.scales_to_zero]
    gpus = [each for each in able if each.scales_to_zero]
    rented, cost = rented_scores(gpus, always_on, demand), cost_of_warm(able)
    scored = always_on + [
        candidate(each, demand, saving(each, rented.get(each.option.backend.name)), cost_of_warm=cost) for each in gpus
    ]
    best = min((*(each.score for each in scored), *starting_scores(warm)), default=None)
    cold = [
        candidate(each, demand, saving(each, best if scored or not each.is_eligible else None))
        for each in evaluated
        if each.option.readiness is Readiness.COLD and each.found
    ]
    rejected = {each.option.backend.name for each in evaluated if each.rejection}
    eligible = (*scored, *(each for each in cold if each.backend not in rejected))
    writer = demand.capped.backend if demand.capped else None
    ranked = sorted(eligible, key=lambda found: rank(found, writer))
    return Comparison(tuple(ranked), tuple(cold), min((each.cost for each in always_on), default=None))


def rank(found: Candidate, writer: str | None) -> tuple[bool, bool, Decimal, str]:
    """Order the candidates; `writer` is the backend that has written the beginning of the answer."""
    return found.backend != writer, found.is_last, found.score, found.backend


def cost_of_warm(able: Sequence[EvaluatedOption]) -> Decimal | None:
    """Return what the cheapest backend that is up adds to the bills; None where no starting one is compared with it."""
    if all(each.option.readiness is Readiness.UP for each in able):
        return None
    up = [each for each in able if each.option.readiness is Readiness.UP]
    return min((added_cost(each.found, each.option) for each in up if each.found), default=None)


def candidate(
    each: EvaluatedOption, demand: Demand, saved: Decimal | None, *, cost_of_warm: Decimal | None = None
) -> Candidate:
    """Score a backend; `saved` is what it saves when it is up, None if no other backend can serve the turn."""
    option, found = each.option, each.found
    assert found is not None  # noqa: S101 - only options with an estimate are scored
    session = rental_decision(option, saved) if option.backend.cold_start.scales_to_zero else None
    terms = score_terms(found, option, demand, session, cost_of_warm=cost_of_warm)
    score = sum(terms.values(), NOTHING)
    return Candidate(
        option.backend.name, found, terms, score, option.readiness, option.remaining_start_s, session, option.memory
    )


def rental_decision(option: RoutingOption, saved: Decimal | None) -> RentOrBuy | None:
    if not option.backend.cold_start.scales_to_zero or (saved is None and option.readiness is not Readiness.COLD):
        return None
    start_s = option.backend_state.start_times.p50_s
    return rent_or_buy(
        session=session_price(option.price, start_s),
        spent=option.rental_spend,
        scheduled=saved,
        window_s=option.rule.window * window_s(option.backend, start_s),
        rule=option.rule,
        is_bought=option.readiness is not Readiness.COLD,
    )


def rented_scores(
    gpus: Sequence[EvaluatedOption], always_on: Sequence[Candidate], demand: Demand
) -> Mapping[str, Decimal]:
    """Return the lowest score of the alternatives to each warm GPU: those that never scale to zero, else the others."""
    if not gpus:
        return {}
    if always_on:
        lowest = min(each.score for each in always_on)
        return {each.option.backend.name: lowest for each in gpus}
    scores = {each.option.backend.name: plain_score(each, demand) for each in gpus}
    if len(scores) == 1:
        return {}
    lowest, second, *_ = sorted(scores.values())
    return {name: second if score == lowest else lowest for name, score in scores.items()}


def plain_score(each: EvaluatedOption, demand: Demand) -> Decimal:
    """Return the score of a warm GPU whose session is not paid for."""
    return sum(score_terms(each.found, each.option, demand, None).values(), NOTHING) if each.found else NOTHING


def starting_scores(warm: Iterable[EvaluatedOption]) -> Iterable[Decimal]:
    """Return the scores that starting backends will have when they are up: they are paid for."""
    for each in warm:
        if each.option.readiness is Readiness.STARTING and each.found:
            seconds = seconds_if_up(each)
            if seconds is not None:
                yield waiting_value(seconds, each.filters.demand)


def saving(each: EvaluatedOption, alternative: Decimal | None) -> Decimal | None:
    """Return by how many dollars a backend that is up and paid for would beat the score of the alternative.

    Waiting counts on both sides. Nothing is saved where the backend can't serve the turn even if it is up. A line that
    waits for a start counts no more than it does before that start: there is none behind a backend that is up.
    """
    if alternative is None or not each.scales_to_zero:
        return None
    seconds = seconds_if_up(each)
    if seconds is None:
        return NOTHING
    line_s = each.found.queue_s if each.found and each.option.readiness is Readiness.STARTING else 0.0
    return max(NOTHING, alternative - waiting_value(max(0.0, seconds - line_s), each.filters.demand))


def seconds_if_up(each: EvaluatedOption) -> float | None:
    """Return the expected seconds of the turn on a backend that is up; None where it can't serve the turn even then.

    What the turn costs then matters to a budget alone.
    """
    option, demand = each.option, each.filters.demand
    if option.readiness is Readiness.UP:
        return each.found.seconds if each.found and each.is_eligible else None
    if demand.budget is not None:
        priced = estimated(if_up(option), each.filters)
        return priced.found.seconds if priced.found and priced.is_eligible else None
    if each.found and each.is_eligible and only_waits_for_start(option, demand):
        return each.found.queue_s + each.found.busy_s
    found = durations(if_up(option), demand.read_by(option.backend))
    return found.seconds if is_in_time(found, each.filters) else None


def only_waits_for_start(option: RoutingOption, demand: Demand) -> bool:
    """Return whether the turn would take the same work if the backend were up: as much to read and to write."""
    has_cache = demand.cached is not None and demand.cached.backend == option.backend.name
    return option.backend.continues is not ContinuationMode.NO and not has_cache


def if_up(option: RoutingOption) -> RoutingOption:
    """Return the option as it is when its start has just ended."""
    return replace(
        option,
        warm_until=option.now + option.backend.cold_start.idle_s,
        readiness=Readiness.UP,
        remaining_start_s=0.0,
        slow_remaining_start_s=0.0,
    )

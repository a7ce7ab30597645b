"""Which backend serves this turn, and why? Filter, score, pick."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, Fleet
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption, estimate, score_terms, session_cost
from domain.routing.filters import (
    LATE,
    Filters,
    Rejection,
    filters_for,
    rejection_after_estimate,
    rejection_before_estimate,
)
from domain.routing.model_choice import RouteProblem, UnknownModel, read_model_choice
from domain.routing.rent_or_buy import NOTHING, RentOrBuy, rent_or_buy, window_s

NO_RENTAL_SPEND: Final[Mapping[str, Decimal]] = MappingProxyType({})


class Candidate(NamedTuple):
    """A backend that can serve the turn. The score, in dollars, is the sum of its terms: the lowest is picked.

    `remaining_start_s` is the part of the expected seconds until the backend is up; `session` says whether a GPU
    session of this backend is worth its price.
    """

    backend: str
    found: Estimate
    terms: Mapping[str, Decimal]
    score: Decimal
    readiness: Readiness = Readiness.UP
    remaining_start_s: float = 0.0
    session: RentOrBuy | None = None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """The decision. Candidates are ordered best first, rejected backends by name.

    `retry_in_s` is set if no backend is feasible now and one may be feasible then. `warm_up` is the cold backend to
    warm up, for this turn or (if it is not the chosen one) for later turns; `warm_up_reason` says why.
    `cold_candidates` are the cold backends that could have served the turn if they were warm. `rental_spend` is the
    cost of the turn at the cheapest backend that never scales to zero; None if there is none.
    """

    backend: str | None
    reason: str
    problem: RouteProblem | None = None
    candidates: tuple[Candidate, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    retry_in_s: float | None = None
    warm_up: str | None = None
    warm_up_reason: str = ""
    cold_candidates: tuple[str, ...] = ()
    rental_spend: Decimal | None = None

    @property
    def chosen(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None

    @property
    def has_alternative(self) -> bool:
        return len(self.candidates) > 1


def route(
    demand: Demand,
    fleet: Fleet,
    states: Mapping[str, BackendState],
    now: float,
    *,
    spent: Mapping[str, Decimal] = NO_RENTAL_SPEND,
) -> RouteDecision:
    """Decide. A backend without a state has its initial state; `spent` is the rental spend of each backend."""
    choice = read_model_choice(demand.model, demand.tier, fleet)
    if isinstance(choice, UnknownModel):
        return RouteDecision(backend=None, reason=choice.reason, problem=choice.problem)
    filters = filters_for(demand, choice)
    judged = [judge(option, filters) for option in options(fleet, states, now, spent=spent)]
    able = [(each.option, each.found) for each in judged if each.found and not each.rejection]
    rent = min((found.cost for option, found in able if not option.backend.cold_start.scales_to_zero), default=None)
    awake = min((found.cost for option, found in able if option.readiness is not Readiness.COLD), default=None)
    candidates = sorted(
        (candidate(option, found, demand, rent_or_buy_for(option, rent, awake)) for option, found in able), key=rank
    )
    refused = sorted((each.rejection for each in judged if each.rejection), key=lambda refusal: refusal.backend)
    decision = pick(tuple(candidates), tuple(refused))
    asleep = [each for each in candidates if each.readiness is Readiness.COLD]
    for option, found, refusal in judged:
        if found and refusal and option.readiness is Readiness.COLD:
            asleep.append(candidate(option, found, demand, awake))
    return with_warm_up(decision, asleep, rent)


def options(
    fleet: Fleet,
    states: Mapping[str, BackendState],
    now: float,
    *,
    spent: Mapping[str, Decimal],
) -> Iterable[RoutingOption]:
    for name, backend in fleet.backends.items():
        state = states.get(name) or initial_state(backend)
        readiness = readiness_of(backend, state, now)
        rest_s, slow_rest_s = (0.0, 0.0) if readiness is Readiness.UP else state.remaining_start_s(now)
        model = fleet.models[backend.model]
        rent = spent.get(name, NOTHING)
        yield RoutingOption(backend, model, backend.price, state, now, readiness, rest_s, slow_rest_s, rent)


def readiness_of(backend: Backend, state: BackendState, now: float) -> Readiness:
    if not backend.cold_start.scales_to_zero or state.is_warm(now):
        return Readiness.UP
    return Readiness.STARTING if state.is_starting(now) else Readiness.COLD


class JudgedOption(NamedTuple):
    """An option with its estimate or its rejection; with both if it takes too long."""

    option: RoutingOption
    found: Estimate | None
    rejection: Rejection | None


def judge(option: RoutingOption, filters: Filters) -> JudgedOption:
    early = rejection_before_estimate(option, filters)
    if early is not None:
        return JudgedOption(option, None, early)
    found = estimate(option, filters.demand)
    refusal = rejection_after_estimate(option, found, filters)
    out = refusal is not None and refusal.code != LATE
    return JudgedOption(option, None if out else found, refusal)


def rank(found: Candidate) -> tuple[bool, Decimal, str]:
    return found.is_last, found.score, found.backend


def candidate(option: RoutingOption, found: Estimate, demand: Demand, rent: Decimal | None) -> Candidate:
    """Score a backend; `rent` is the cost of the turn at the cheapest alternative, None if there is none."""
    verdict = rental_decision(option, rent)
    terms = score_terms(found, option, demand, verdict)
    score = sum(terms.values(), NOTHING)
    return Candidate(option.backend.name, found, terms, score, option.readiness, option.remaining_start_s, verdict)


def rent_or_buy_for(option: RoutingOption, rent: Decimal | None, awake: Decimal | None) -> Decimal | None:
    """Return the cost of the turn at the cheapest alternative. For a cold backend, every warm one is an alternative."""
    return awake if option.readiness is Readiness.COLD else rent


def rental_decision(option: RoutingOption, rent: Decimal | None) -> RentOrBuy | None:
    if not option.backend.cold_start.scales_to_zero or (rent is None and option.readiness is not Readiness.COLD):
        return None
    window = window_s(option.backend)
    return rent_or_buy(session=session_cost(option), spent=option.rental_spend, scheduled=rent, window_s=window)


def pick(candidates: tuple[Candidate, ...], refused: tuple[Rejection, ...]) -> RouteDecision:
    if not candidates:
        waits = [refusal.retry_in_s for refusal in refused if refusal.retry_in_s is not None]
        return RouteDecision(
            backend=None,
            reason="no backend can serve this turn",
            problem=RouteProblem.NONE_FEASIBLE,
            rejected=refused,
            retry_in_s=min(waits, default=None),
        )
    best = candidates[0]
    against = (
        f"the best of {len(candidates)} by cost and waiting time"
        if len(candidates) > 1
        else "the only eligible backend"
    )
    reason = f"{best.backend} {best.reason}; {against}"
    return RouteDecision(backend=best.backend, reason=reason, candidates=candidates, rejected=refused)


def with_warm_up(decision: RouteDecision, asleep: Sequence[Candidate], rent: Decimal | None) -> RouteDecision:
    """Add the backend to warm up: the chosen one if it is cold, else one whose session pays off for later turns.

    `asleep` are the cold backends that can serve the turn, apart from the time of their start.
    """
    sleepers = tuple(sorted(each.backend for each in asleep))
    wakes, why = warm_up_target(decision, asleep)
    return replace(decision, warm_up=wakes, warm_up_reason=why, cold_candidates=sleepers, rental_spend=rent)


def warm_up_target(decision: RouteDecision, asleep: Sequence[Candidate]) -> tuple[str | None, str]:
    chosen = decision.chosen
    if chosen and chosen.session and chosen.readiness is Readiness.COLD:
        why = chosen.session.reason if chosen.session.warms_up else f"it has the lowest score; {chosen.session.reason}"
        return chosen.backend, why
    if any(each.readiness is Readiness.STARTING for each in decision.candidates):
        return None, ""
    paying = min((each for each in asleep if each.session and each.session.pays), key=rank, default=None)
    return (paying.backend, paying.session.reason) if paying and paying.session else (None, "")

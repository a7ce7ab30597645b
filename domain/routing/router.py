"""Which backend serves this turn, and why? Filter, score, pick."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, Fleet
from domain.routing.candidates import Candidate, compare, evaluate
from domain.routing.estimates import Demand, Readiness, RoutingOption
from domain.routing.filters import Rejection, filters_for
from domain.routing.model_choice import RouteProblem, UnknownModel, read_model_choice
from domain.routing.rent_or_buy import DEFAULT_RULE, NOTHING
from domain.routing.rule_choice import RuleChoice
from domain.tokens.counts import NOT_COUNTED, TokenCount
from domain.tokens.estimates import TokenEstimate

NO_RENTAL_SPEND: Final[Mapping[str, Decimal]] = MappingProxyType({})
NO_RULES: Final[Mapping[str, RuleChoice]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """The decision. Candidates are ordered best first, rejected backends by name.

    `retry_in_s` is set if no backend is feasible now and one may be feasible then. `warm_up` is the cold backend to
    warm up, for this turn or (if it is not the chosen one) for later turns; `warm_up_reason` says why.
    `cold_candidates` are the cold backends that could have served the turn if they were warm. `rental_spend` is the
    cost of the turn at the cheapest backend that never scales to zero; None if there is none. `savings` are the dollars
    by which each backend that scales to zero beats the alternatives if it is up; they add to its rental spend. `rules`
    are those that were adopted for cold and warm GPUs, with their costs and those of their rivals. `counts` are the
    tokens of the input for each model that they were counted for.
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
    savings: Mapping[str, Decimal] = NO_RENTAL_SPEND
    rules: Mapping[str, RuleChoice] = NO_RULES
    counts: Mapping[str, TokenCount] = NOT_COUNTED

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
    rules: Mapping[str, RuleChoice] = NO_RULES,
) -> RouteDecision:
    """Decide. A backend without a state has its initial state, and one without a rule the default rule.

    `spent` is the rental spend of each backend, in the window of its rule.
    """
    choice = read_model_choice(demand.model, demand.tier, fleet)
    if isinstance(choice, UnknownModel):
        return RouteDecision(backend=None, reason=choice.reason, problem=choice.problem)
    filters = filters_for(demand, choice)
    evaluated = [evaluate(option, filters) for option in options(fleet, states, now, spent=spent, rules=rules)]
    found = compare(evaluated, filters)
    rejected = sorted((each.rejection for each in evaluated if each.rejection), key=lambda each: each.backend)
    always_on = [each.found.cost for each in evaluated if each.found and each.is_eligible and not each.scales_to_zero]
    picked = pick(found.candidates, tuple(rejected), demand)
    decision = with_warm_up(picked, found.cold, min(always_on, default=None))
    considered = {each.backend for each in (*found.candidates, *found.cold)}
    in_force = {name: choice for name, choice in rules.items() if name in considered}
    return replace(decision, rules=in_force, counts=counts_of(demand, (each.option.model.name for each in evaluated)))


def counts_of(demand: Demand, models: Iterable[str]) -> Mapping[str, TokenCount]:
    """Return the tokens of the input for each model: those that were counted, else the estimate."""
    expected = demand.input_tokens if demand.expected_input_tokens is None else demand.expected_input_tokens
    estimated = TokenCount(
        tokens=TokenEstimate(expected=expected, likely=demand.input_tokens, ceiling=demand.most_input_tokens)
    )
    return {model: demand.counts.get(model, estimated) for model in models}


def options(
    fleet: Fleet,
    states: Mapping[str, BackendState],
    now: float,
    *,
    spent: Mapping[str, Decimal],
    rules: Mapping[str, RuleChoice] = NO_RULES,
) -> Iterable[RoutingOption]:
    for name, backend in fleet.backends.items():
        state = states.get(name) or initial_state(backend)
        readiness = readiness_of(backend, state, now)
        remaining_s, slow_s = (0.0, 0.0) if readiness is Readiness.UP else state.remaining_start_s(now)
        model = fleet.models[backend.model]
        yield RoutingOption(
            backend,
            model,
            backend.price,
            state,
            now,
            readiness,
            remaining_s,
            slow_s,
            warm_until=state.warmth.warm_until,
            rental_spend=spent.get(name, NOTHING),
            rule=rules[name].rule if name in rules else DEFAULT_RULE,
        )


def readiness_of(backend: Backend, state: BackendState, now: float) -> Readiness:
    if not backend.cold_start.scales_to_zero or state.warmth.is_warm(now):
        return Readiness.UP
    return Readiness.STARTING if state.warmth.is_starting(now) else Readiness.COLD


def pick(candidates: tuple[Candidate, ...], rejected: tuple[Rejection, ...], demand: Demand) -> RouteDecision:
    if not candidates:
        pauses_s = [each.retry_in_s for each in rejected if each.retry_in_s is not None]
        return RouteDecision(
            backend=None,
            reason="no backend can serve this turn",
            problem=RouteProblem.NONE_FEASIBLE,
            rejected=rejected,
            retry_in_s=min(pauses_s, default=None),
        )
    best = candidates[0]
    reason = f"{best.backend} {best.reason}; {why_best(candidates, demand)}"
    return RouteDecision(backend=best.backend, reason=reason, candidates=candidates, rejected=rejected)


def why_best(candidates: Sequence[Candidate], demand: Demand) -> str:
    if demand.capped and demand.capped.backend == candidates[0].backend:
        return "it has written the answer so far"
    if len(candidates) == 1:
        return "the only eligible backend"
    return f"the best of {len(candidates)} by cost and waiting time"


def with_warm_up(decision: RouteDecision, cold: Sequence[Candidate], rental_spend: Decimal | None) -> RouteDecision:
    """Add the backend to warm up: the chosen one if it is cold, else one whose session pays off for later turns.

    `cold` are the cold backends that can serve the turn, apart from the time of their start.
    """
    names = tuple(sorted(each.backend for each in cold))
    target, why = warm_up_target(decision, cold)
    savings = savings_of(decision, cold)
    return replace(
        decision,
        warm_up=target,
        warm_up_reason=why,
        cold_candidates=names,
        rental_spend=rental_spend,
        savings=savings,
    )


def warm_up_target(decision: RouteDecision, cold: Sequence[Candidate]) -> tuple[str | None, str]:
    chosen = decision.chosen
    if chosen and chosen.session and chosen.readiness is Readiness.COLD:
        why = chosen.session.reason if chosen.session.warms_up else f"it has the lowest score; {chosen.session.reason}"
        return chosen.backend, why
    paying = min(
        (each for each in cold if each.session and each.session.pays),
        key=lambda each: (-each.saving, each.backend),
        default=None,
    )
    return (paying.backend, paying.session.reason) if paying and paying.session else (None, "")


def savings_of(decision: RouteDecision, cold: Sequence[Candidate]) -> Mapping[str, Decimal]:
    """Return what the turn adds to the rental spend of each backend that scales to zero.

    A turn that a warm GPU takes counts for that GPU and for cold ones, never for another warm one.
    """
    chosen = decision.chosen
    warm = [each for each in decision.candidates if each.session and each.readiness is not Readiness.COLD]
    own = [chosen] if chosen in warm else warm
    return {each.backend: each.saving for each in (*own, *cold) if each and each.saving}

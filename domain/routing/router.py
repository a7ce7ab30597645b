"""Which backend serves this turn, and why? Filter, score, pick."""

from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import Struct

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, Fleet
from domain.log.escalations import Escalation
from domain.routing.candidates import Candidate, compare, evaluate
from domain.routing.difficulty import Difficulty, WantedTier, wanted_tier
from domain.routing.estimates import Demand, Readiness, RoutingOption
from domain.routing.filters import BUDGET, ModelChoice, Rejection, filters_for
from domain.routing.model_choice import RouteProblem, UnknownModel, read_model_choice
from domain.routing.rent_or_buy import DEFAULT_RULE, NOTHING
from domain.routing.rules.rule_choice import RuleChoice
from domain.tokens.counts import NOT_COUNTED, TokenCount
from domain.tokens.estimates import TokenEstimate

NO_RENTAL_SPEND: Final[Mapping[str, Decimal]] = MappingProxyType({})
NO_RULES: Final[Mapping[str, RuleChoice]] = MappingProxyType({})


class RouteDecision(Struct, frozen=True, kw_only=True):
    """The decision. Candidates are ordered best first, rejected backends by name.

    `retry_in_s` is set if no backend is feasible now and one may be feasible then. `warm_up` is the cold backend to
    warm up, for this turn or (if it is not the chosen one) for later turns; `warm_up_reason` says why.
    `cold_candidates` are the cold backends that could have served the turn if they were warm. `rental_spend` is the
    cost of the turn at the cheapest backend that never scales to zero; None if there is none. `savings` are the dollars
    by which each backend that scales to zero beats the alternatives if it is up; they add to its rental spend. `rules`
    are those that were adopted for cold and warm GPUs, with their costs and those of their rivals. `counts` are the
    tokens of the input for each model that they were counted for. `wanted` is the tier that `auto` should get.
    `escalates`: an answer that fails its checks may be asked of a better model. `escalation` is the one that did.
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
    wanted: WantedTier | None = None
    escalates: bool = False
    escalation: Escalation | None = None

    @property
    def chosen(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None

    @property
    def lacks_budget_alone(self) -> bool:
        """Return whether no backend can serve the turn, now or soon, and some only because of its budget."""
        return self.backend is None and self.retry_in_s is None and any(each.code == BUDGET for each in self.rejected)

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
    hardness: Difficulty | None = None,
    escalation: Escalation | None = None,
) -> RouteDecision:
    """Decide. A backend without a state has its initial state, and one without a rule the default rule.

    `spent` is the rental spend of each backend, in the window of its rule. A turn of `auto` gets the tier that its
    `hardness` asks for, or any other where no backend of that tier can serve it now. After an `escalation` it gets a
    better model than the one whose answer failed, or none.
    """
    choice = read_model_choice(demand.model, demand.tier, fleet)
    if isinstance(choice, UnknownModel):
        return RouteDecision(backend=None, reason=choice.reason, problem=choice.problem)
    among = partial(decide, demand, fleet=fleet, states=states, now=now, spent=spent, rules=rules)
    if escalation and escalation.backend in fleet.backends:
        better = max(choice.tier, tier_of(escalation.backend, fleet) + 1)
        return replace(among(replace(choice, tier=better)), escalation=escalation)
    wanted = wanted_tier(hardness, choice, fleet) if demand.tier is None else None
    decision = among(replace(choice, tier=wanted.tier)) if wanted else None
    if decision is None or not decision.backend:
        decision, wanted = among(choice), wanted and wanted.unmet()
    return replace(decision, wanted=wanted, escalates=may_escalate(decision, choice, fleet))


def tier_of(backend: str, fleet: Fleet) -> int:
    return fleet.models[fleet.backends[backend].model].tier


def may_escalate(decision: RouteDecision, choice: ModelChoice, fleet: Fleet) -> bool:
    """Tell whether a turn of `auto` could also be served by a better model than the chosen one."""
    if choice.model or choice.backend or decision.backend is None:
        return False
    chosen = tier_of(decision.backend, fleet)
    return any(tier_of(each.backend, fleet) > chosen for each in decision.candidates)


def decide(
    demand: Demand,
    choice: ModelChoice,
    fleet: Fleet,
    states: Mapping[str, BackendState],
    now: float,
    *,
    spent: Mapping[str, Decimal],
    rules: Mapping[str, RuleChoice],
) -> RouteDecision:
    """Compare the backends that the choice of model, backend and tier leaves."""
    filters = filters_for(demand, choice)
    asked = {model: filters.for_model(model) for model in fleet.models}
    found_options = options(fleet, states, now, spent=spent, rules=rules)
    evaluated = [evaluate(option, asked[option.model.name]) for option in found_options]
    found = compare(evaluated, filters)
    rejected = sorted((each.rejection for each in evaluated if each.rejection), key=lambda each: each.backend)
    chosen = pick(found.candidates, rejected, demand)
    warm_up, warm_up_reason = warm_up_target(found.candidates, found.cold)
    considered = {each.backend for each in (*found.candidates, *found.cold)}
    return RouteDecision(
        backend=chosen.backend,
        reason=chosen.reason,
        problem=chosen.problem,
        candidates=found.candidates,
        rejected=tuple(rejected),
        retry_in_s=chosen.retry_in_s,
        warm_up=warm_up,
        warm_up_reason=warm_up_reason,
        cold_candidates=tuple(sorted(each.backend for each in found.cold)),
        rental_spend=found.always_on_cost,
        savings=savings_of(found.candidates, found.cold),
        rules={name: adopted for name, adopted in rules.items() if name in considered},
        counts=counts_of(demand, dict.fromkeys(each.option.model.name for each in evaluated)),
    )


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
        yield RoutingOption(
            backend,
            fleet.models[backend.model],
            backend.price,
            state,
            now,
            readiness,
            remaining_s,
            slow_s,
            state.warmth.warm_until,
            spent.get(name, NOTHING),
            rules[name].rule if name in rules else DEFAULT_RULE,
        )


def readiness_of(backend: Backend, state: BackendState, now: float) -> Readiness:
    if not backend.cold_start.scales_to_zero or state.is_up(now):
        return Readiness.UP
    return Readiness.STARTING if state.warmth.start_under_way(now) else Readiness.COLD


class Pick(NamedTuple):
    """The picked backend, or why there is none and when there may be one; `reason` is in words."""

    backend: str | None
    reason: str
    problem: RouteProblem | None = None
    retry_in_s: float | None = None


def pick(candidates: Sequence[Candidate], rejected: Iterable[Rejection], demand: Demand) -> Pick:
    if not candidates:
        pauses_s = [each.retry_in_s for each in rejected if each.retry_in_s is not None]
        retry_in_s = min(pauses_s, default=None)
        return Pick(None, "no backend can serve this turn", RouteProblem.NONE_FEASIBLE, retry_in_s)
    best = candidates[0]
    return Pick(best.backend, f"{best.backend} {best.reason}; {why_best(candidates, demand)}")


def why_best(candidates: Sequence[Candidate], demand: Demand) -> str:
    if demand.capped and demand.capped.backend == candidates[0].backend:
        return "it has written the answer so far"
    if len(candidates) == 1:
        return "the only eligible backend"
    return f"the best of {len(candidates)} by cost and waiting time"


def warm_up_target(candidates: Sequence[Candidate], cold: Iterable[Candidate]) -> tuple[str | None, str]:
    """Return the backend to warm up: the chosen one if it is cold, else one whose session pays off for later turns.

    `candidates` are ordered best first; `cold` are the cold backends that can serve the turn, apart from the time of
    their start. The second value says why, in words.
    """
    chosen = candidates[0] if candidates else None
    if chosen and chosen.session and chosen.readiness is Readiness.COLD:
        why = chosen.session.reason if chosen.session.warms_up else f"it has the lowest score; {chosen.session.reason}"
        return chosen.backend, why
    paying = min(
        (each for each in cold if each.session and each.session.pays),
        key=lambda each: (-each.saving, each.backend),
        default=None,
    )
    return (paying.backend, paying.session.reason) if paying and paying.session else (None, "")


def savings_of(candidates: Sequence[Candidate], cold: Sequence[Candidate]) -> Mapping[str, Decimal]:
    """Return what the turn adds to the rental spend of each backend that scales to zero.

    A turn that a warm GPU takes counts for that GPU and for cold ones, never for another warm one.
    """
    warm = [each for each in candidates if each.session and each.readiness is not Readiness.COLD]
    own = candidates[:1] if warm and warm[0] is candidates[0] else warm
    return {each.backend: each.saving for each in (*own, *cold) if each.saving}

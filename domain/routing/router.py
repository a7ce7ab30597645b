"""Which backend takes this turn, and why that one? Filter, score, pick."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from domain.fleet.backend_state import Belief, seed
from domain.fleet.catalog import AUTO, Backend, Fleet
from domain.money.prices import Price
from domain.routing.estimates import Demand, Estimate, Option, State, estimate, score_terms, session_cost
from domain.routing.filters import LATE, Filters, Refusal, Wish, filters_for, refusal_after, refusal_before
from domain.routing.rent_or_buy import NOTHING, Verdict, rent_or_buy, window_s

TIERS: Final = {"economy": 1, "standard": 2, "premium": 3, **{str(tier): tier for tier in range(1, 6)}}
"""The least quality of a model that a caller may ask for, by name or by number."""

NO_RENT: Final[Mapping[str, Decimal]] = MappingProxyType({})


class Problem(StrEnum):
    """Why there is no route. All but the last are mistakes of the caller."""

    MODEL_NOT_FOUND = "model_not_found"
    BACKEND_NOT_FOUND = "backend_not_found"
    TIER_UNKNOWN = "tier_unknown"
    NONE_FEASIBLE = "none_feasible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The caller names something that is not there."""

    problem: Problem
    reason: str


class Candidate(NamedTuple):
    """A backend that could take the turn. The score, in dollars, is the sum of its terms: the lowest is picked.

    `rest_s` of the seconds that are expected pass until it is up; `session` is whether a session of it is worth its
    price.
    """

    backend: str
    found: Estimate
    terms: Mapping[str, Decimal]
    score: Decimal
    state: State = State.UP
    rest_s: float = 0.0
    session: Verdict | None = None

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
        return f"is {self.state}: about {round(self.seconds, 3):,.1f} s and ${self.cost:.6f} for {self.found.why_cost}"

    @property
    def sleeps_in_vain(self) -> bool:
        return self.session is not None and self.state is State.COLD and not self.session.wakes

    @property
    def is_last(self) -> bool:
        """Tell whether it is picked only where no other can take the turn."""
        return self.found.late_s > 0 or self.sleeps_in_vain

    @property
    def why_last(self) -> str | None:
        if self.late_s:
            return f"a slow start would be {self.late_s:,.1f} s too late"
        return self.session.reason if self.session and self.sleeps_in_vain else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The decision. Candidates stand best first, refused backends by name.

    `retry_in_s` is set where nothing is feasible now and something may be then. `wakes` is the sleeping backend to be
    woken, for this turn or (where it is not the chosen one) for those after it; `why_wake` tells why. `sleepers` are
    those that sleep and could have taken the turn if they did not. `rent` is what the turn would cost at the cheapest
    backend that never sleeps; None where there is none.
    """

    backend: str | None
    reason: str
    problem: Problem | None = None
    candidates: tuple[Candidate, ...] = ()
    refused: tuple[Refusal, ...] = ()
    retry_in_s: float | None = None
    wakes: str | None = None
    why_wake: str = ""
    sleepers: tuple[str, ...] = ()
    rent: Decimal | None = None

    @property
    def chosen(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None

    @property
    def has_alternative(self) -> bool:
        return len(self.candidates) > 1


def route(
    demand: Demand,
    fleet: Fleet,
    prices: Mapping[str, Price],
    beliefs: Mapping[str, Belief],
    now: float,
    *,
    spent: Mapping[str, Decimal] = NO_RENT,
) -> Route:
    """Decide. A backend without a belief is believed to be as the fleet's file says; `spent` as in `Option`."""
    wish = read_wish(demand.model, demand.tier, fleet)
    if isinstance(wish, Unknown):
        return Route(backend=None, reason=wish.reason, problem=wish.problem)
    filters = filters_for(demand, wish)
    judged = [judge(option, filters) for option in options(fleet, prices, beliefs, now, spent=spent)]
    able = [(each.option, each.found) for each in judged if each.found and not each.refusal]
    rent = min((found.cost for option, found in able if not option.backend.cold.scales_to_zero), default=None)
    awake = min((found.cost for option, found in able if option.state is not State.COLD), default=None)
    candidates = sorted(
        (candidate(option, found, demand, rent_for(option, rent, awake)) for option, found in able), key=rank
    )
    refused = sorted((each.refusal for each in judged if each.refusal), key=lambda refusal: refusal.backend)
    decision = pick(tuple(candidates), tuple(refused))
    asleep = [each for each in candidates if each.state is State.COLD]
    for option, found, refusal in judged:
        if found and refusal and option.state is State.COLD:
            asleep.append(candidate(option, found, demand, awake))
    return with_wake(decision, asleep, rent)


def read_wish(model: str, tier: str | None, fleet: Fleet) -> Wish | Unknown:
    """Return what the caller pins: `auto`, a model, or model@backend, and the least quality tier."""
    name, _, backend = model.partition("@")
    least = 1 if tier is None else TIERS.get(tier)
    served = [each.name for each in fleet.served_models()]
    if name != AUTO and name not in served:
        reason = f"the model {name!r} does not exist{hint(name, fleet)}; there are {', '.join([AUTO, *served])}"
        return Unknown(problem=Problem.MODEL_NOT_FOUND, reason=reason)
    if "@" in model and not serves(fleet, backend, name):
        reason = f"no backend {backend!r} serves the model {name!r}"
        return Unknown(problem=Problem.BACKEND_NOT_FOUND, reason=reason)
    if least is None:
        reason = f"the tier {tier!r} does not exist; there are {', '.join(TIERS)}"
        return Unknown(problem=Problem.TIER_UNKNOWN, reason=reason)
    return Wish(model=None if name == AUTO else name, backend=backend or None, tier=least)


def hint(model: str, fleet: Fleet) -> str:
    """Say which variables would bring a model of the file into service."""
    variables = sorted({each.variable for each in fleet.unconfigured if each.model == model})
    return f" here (its backends want {', '.join(variables)})" if variables else ""


def serves(fleet: Fleet, backend: str, model: str) -> bool:
    found = fleet.backends.get(backend)
    return found is not None and model in {AUTO, found.model}


def options(
    fleet: Fleet,
    prices: Mapping[str, Price],
    beliefs: Mapping[str, Belief],
    now: float,
    *,
    spent: Mapping[str, Decimal],
) -> Iterable[Option]:
    for name, backend in fleet.backends.items():
        belief = beliefs.get(name) or seed(backend)
        state = state_of(backend, belief, now)
        rest_s, slow_rest_s = (0.0, 0.0) if state is State.UP else belief.rests_s(now)
        model, price = fleet.models[backend.model], prices[backend.price]
        yield Option(backend, model, price, belief, now, state, rest_s, slow_rest_s, spent.get(name, NOTHING))


def state_of(backend: Backend, belief: Belief, now: float) -> State:
    if not backend.cold.scales_to_zero or belief.is_warm(now):
        return State.UP
    return State.STARTING if belief.is_starting(now) else State.COLD


class Judged(NamedTuple):
    """An option with what it would take, or why it is out; with both where it is out for the time that it takes."""

    option: Option
    found: Estimate | None
    refusal: Refusal | None


def judge(option: Option, filters: Filters) -> Judged:
    early = refusal_before(option, filters)
    if early is not None:
        return Judged(option, None, early)
    found = estimate(option, filters.demand)
    refusal = refusal_after(option, found, filters)
    out = refusal is not None and refusal.code != LATE
    return Judged(option, None if out else found, refusal)


def rank(found: Candidate) -> tuple[bool, Decimal, str]:
    return found.is_last, found.score, found.backend


def candidate(option: Option, found: Estimate, demand: Demand, rent: Decimal | None) -> Candidate:
    """Score a backend; `rent` is what the turn would cost at the cheapest that is awake, None where none is."""
    verdict = verdict_on(option, rent)
    terms = score_terms(found, option, demand, verdict)
    score = sum(terms.values(), NOTHING)
    return Candidate(option.backend.name, found, terms, score, option.state, option.rest_s, verdict)


def rent_for(option: Option, rent: Decimal | None, awake: Decimal | None) -> Decimal | None:
    """Return what the turn would cost elsewhere: to a sleeping backend all others are elsewhere that are awake."""
    return awake if option.state is State.COLD else rent


def verdict_on(option: Option, rent: Decimal | None) -> Verdict | None:
    if not option.backend.cold.scales_to_zero or (rent is None and option.state is not State.COLD):
        return None
    window = window_s(option.backend)
    return rent_or_buy(session=session_cost(option), spent=option.spent, scheduled=rent, window_s=window)


def pick(candidates: tuple[Candidate, ...], refused: tuple[Refusal, ...]) -> Route:
    if not candidates:
        waits = [refusal.retry_in_s for refusal in refused if refusal.retry_in_s is not None]
        return Route(
            backend=None,
            reason="no backend can take this turn",
            problem=Problem.NONE_FEASIBLE,
            refused=refused,
            retry_in_s=min(waits, default=None),
        )
    best = candidates[0]
    against = f"the best of {len(candidates)} by cost and waiting" if len(candidates) > 1 else "the only one that can"
    reason = f"{best.backend} {best.reason}; {against}"
    return Route(backend=best.backend, reason=reason, candidates=candidates, refused=refused)


def with_wake(decision: Route, asleep: Sequence[Candidate], rent: Decimal | None) -> Route:
    """Add which backend is to be woken: the chosen one if it sleeps, else one that pays for the turns to come.

    `asleep` are those that could take the turn, were it not for their start.
    """
    sleepers = tuple(sorted(each.backend for each in asleep))
    wakes, why = to_wake(decision, asleep)
    return replace(decision, wakes=wakes, why_wake=why, sleepers=sleepers, rent=rent)


def to_wake(decision: Route, asleep: Sequence[Candidate]) -> tuple[str | None, str]:
    chosen = decision.chosen
    if chosen and chosen.session and chosen.state is State.COLD:
        why = chosen.session.reason if chosen.session.wakes else f"it is the best; {chosen.session.reason}"
        return chosen.backend, why
    if any(each.state is State.STARTING for each in decision.candidates):
        return None, ""
    paying = min((each for each in asleep if each.session and each.session.pays), key=rank, default=None)
    return (paying.backend, paying.session.reason) if paying and paying.session else (None, "")

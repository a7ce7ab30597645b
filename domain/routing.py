"""Which backend takes this turn, and why that one? Filter, score, pick."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from domain.beliefs import Belief, seed
from domain.estimates import Demand, Estimate, Option, estimate, score_terms
from domain.feasibility import Refusal, Wish, refusal_after, refusal_before
from domain.fleet import AUTO, Fleet
from domain.prices import Price

TIERS: Final = {"economy": 1, "standard": 2, "premium": 3, **{str(tier): tier for tier in range(1, 6)}}
"""The least quality of a model that a caller may ask for, by name or by number."""


NOTHING: Final = Decimal(0)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend that could take the turn. The score, in dollars, is the sum of its terms: the lowest is picked.

    `cost` and `seconds` are expected; the attempt is reserved at `worst_cost` and may run for `worst_s` and write
    `output_tokens`.
    """

    backend: str
    cost: Decimal
    seconds: float
    score: Decimal
    terms: Mapping[str, Decimal]
    worst_cost: Decimal
    worst_s: float
    output_tokens: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The decision. Candidates stand best first, refused backends by name.

    `retry_in_s` is set where nothing is feasible now and something may be then.
    """

    backend: str | None
    reason: str
    problem: Problem | None = None
    candidates: tuple[Candidate, ...] = ()
    refused: tuple[Refusal, ...] = ()
    retry_in_s: float | None = None

    @property
    def chosen(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None

    @property
    def has_alternative(self) -> bool:
        return len(self.candidates) > 1


def route(
    demand: Demand, fleet: Fleet, prices: Mapping[str, Price], beliefs: Mapping[str, Belief], now: float
) -> Route:
    """Decide. A backend without a belief is believed to be as the fleet's file says."""
    wish = read_wish(demand.model, demand.tier, fleet)
    if isinstance(wish, Unknown):
        return Route(backend=None, reason=wish.reason, problem=wish.problem)
    candidates: list[Candidate] = []
    refused: list[Refusal] = []
    for option in options(fleet, prices, beliefs, now):
        verdict = judge(option, demand, wish)
        if isinstance(verdict, Refusal):
            refused.append(verdict)
        else:
            candidates.append(verdict)
    refused.sort(key=lambda refusal: refusal.backend)
    candidates.sort(key=lambda candidate: (candidate.score, candidate.backend))
    return pick(tuple(candidates), tuple(refused))


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


def options(fleet: Fleet, prices: Mapping[str, Price], beliefs: Mapping[str, Belief], now: float) -> Iterable[Option]:
    for name, backend in fleet.backends.items():
        belief = beliefs.get(name) or seed(backend)
        yield Option(
            backend=backend,
            model=fleet.models[backend.model],
            price=prices[backend.price],
            belief=belief,
            now=now,
            is_up=not backend.cold.scales_to_zero or belief.is_warm(now),
        )


def judge(option: Option, demand: Demand, wish: Wish) -> Candidate | Refusal:
    early = refusal_before(option, demand, wish)
    if early is not None:
        return early
    found = estimate(option, demand)
    return refusal_after(option, found, demand) or candidate(option, found, demand)


def candidate(option: Option, found: Estimate, demand: Demand) -> Candidate:
    terms = score_terms(found, demand)
    state = "up" if option.is_up else "cold"
    return Candidate(
        backend=option.backend.name,
        cost=found.cost,
        seconds=found.seconds,
        score=sum(terms.values(), NOTHING),
        terms=terms,
        worst_cost=found.worst_cost,
        worst_s=found.worst_s,
        output_tokens=found.output_tokens,
        reason=f"is {state}: about {found.seconds:,.1f} s and ${found.cost:.6f} for {found.why_cost}",
    )


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


def route_to_document(decision: Route) -> dict[str, Any]:
    """Return the route as JSON: amounts are decimal strings of dollars, named `…_usd`."""
    return {
        "backend": decision.backend,
        "reason": decision.reason,
        "problem": decision.problem,
        "candidates": [candidate_to_document(each) for each in decision.candidates],
        "refused": [asdict(each) for each in decision.refused],
        "retry_in_s": decision.retry_in_s,
    }


def candidate_to_document(found: Candidate) -> dict[str, Any]:
    return {
        "backend": found.backend,
        "cost_usd": f"{found.cost:f}",
        "seconds": found.seconds,
        "score_usd": f"{found.score:f}",
        "terms_usd": {name: f"{amount:f}" for name, amount in found.terms.items()},
        "worst_cost_usd": f"{found.worst_cost:f}",
        "worst_s": found.worst_s,
        "output_tokens": found.output_tokens,
        "reason": found.reason,
    }


def route_from_document(body: Mapping[str, Any]) -> Route:
    return Route(
        backend=body["backend"],
        reason=body["reason"],
        problem=None if body["problem"] is None else Problem(body["problem"]),
        candidates=tuple(candidate_from_document(each) for each in body["candidates"]),
        refused=tuple(Refusal(**each) for each in body["refused"]),
        retry_in_s=body["retry_in_s"],
    )


def candidate_from_document(body: Mapping[str, Any]) -> Candidate:
    return Candidate(
        backend=body["backend"],
        cost=Decimal(body["cost_usd"]),
        seconds=body["seconds"],
        score=Decimal(body["score_usd"]),
        terms={name: Decimal(amount) for name, amount in body["terms_usd"].items()},
        worst_cost=Decimal(body["worst_cost_usd"]),
        worst_s=body["worst_s"],
        output_tokens=body["output_tokens"],
        reason=body["reason"],
    )

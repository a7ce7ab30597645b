"""How is a route kept and shown? As JSON: amounts are decimal strings of dollars, named `…_usd`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from domain.routing.estimates import Estimate, Readiness
from domain.routing.filters import Rejection
from domain.routing.model_choice import RouteProblem
from domain.routing.rent_or_buy import RentOrBuy
from domain.routing.router import Candidate, RouteDecision


def route_to_document(decision: RouteDecision) -> dict[str, Any]:
    return {
        "backend": decision.backend,
        "reason": decision.reason,
        "problem": decision.problem,
        "candidates": [candidate_to_document(each) for each in decision.candidates],
        "refused": [rejection_to_document(each) for each in decision.rejected],
        "retry_in_s": decision.retry_in_s,
        "wakes": decision.warm_up,
        "why_wake": decision.warm_up_reason,
        "sleepers": list(decision.cold_candidates),
        "rent_usd": None if decision.rental_spend is None else f"{decision.rental_spend:f}",
    }


def rejection_to_document(each: Rejection) -> dict[str, Any]:
    return {"backend": each.backend, "code": each.code, "reason": each.reason, "retry_in_s": each.retry_in_s}


def candidate_to_document(each: Candidate) -> dict[str, Any]:
    return {
        "backend": each.backend,
        "cost_usd": f"{each.cost:f}",
        "seconds": round(each.seconds, 3),
        "score_usd": f"{each.score:f}",
        "terms_usd": {name: f"{amount:f}" for name, amount in each.terms.items()},
        "worst_cost_usd": f"{each.worst_cost:f}",
        "worst_s": round(each.worst_s, 3),
        "output_tokens": each.output_tokens,
        "reason": each.reason,
        "why_cost": each.found.why_cost,
        "state": each.readiness.value,
        "rest_s": round(each.remaining_start_s, 3),
        "busy_s": round(each.busy_s, 3),
        "late_s": round(each.late_s, 3),
        "last": each.why_last,
        "session": None if each.session is None else rent_or_buy_to_document(each.session),
    }


def rent_or_buy_to_document(verdict: RentOrBuy) -> dict[str, Any]:
    return {
        "pays": verdict.pays,
        "reason": verdict.reason,
        "price_usd": f"{verdict.price:f}",
        "spent_usd": f"{verdict.spent:f}",
        "scheduled_usd": None if verdict.scheduled is None else f"{verdict.scheduled:f}",
        "window_s": verdict.window_s,
    }


def route_from_document(body: Mapping[str, Any]) -> RouteDecision:
    return RouteDecision(
        backend=body["backend"],
        reason=body["reason"],
        problem=None if body["problem"] is None else RouteProblem(body["problem"]),
        candidates=tuple(candidate_from_document(each) for each in body["candidates"]),
        rejected=tuple(rejection_from_document(each) for each in body["refused"]),
        retry_in_s=body["retry_in_s"],
        warm_up=body.get("wakes"),
        warm_up_reason=body.get("why_wake", ""),
        cold_candidates=tuple(body.get("sleepers", ())),
        rental_spend=Decimal(body["rent_usd"]) if body.get("rent_usd") else None,
    )


def rejection_from_document(body: Mapping[str, Any]) -> Rejection:
    return Rejection(
        backend=body["backend"],
        code=body["code"],
        reason=body["reason"],
        retry_in_s=body.get("retry_in_s"),
    )


def candidate_from_document(body: Mapping[str, Any]) -> Candidate:
    found = Estimate(
        seconds=body["seconds"],
        busy_s=body.get("busy_s", 0.0),
        late_s=body.get("late_s", 0.0),
        worst_s=body["worst_s"],
        cost=Decimal(body["cost_usd"]),
        worst_cost=Decimal(body["worst_cost_usd"]),
        output_tokens=body["output_tokens"],
        why_cost=body.get("why_cost", ""),
    )
    return Candidate(
        backend=body["backend"],
        found=found,
        terms={name: Decimal(amount) for name, amount in body["terms_usd"].items()},
        score=Decimal(body["score_usd"]),
        readiness=Readiness(body.get("state", Readiness.UP)),
        remaining_start_s=body.get("rest_s", 0.0),
        session=verdict_from_document(body["session"]) if body.get("session") else None,
    )


def verdict_from_document(body: Mapping[str, Any]) -> RentOrBuy:
    return RentOrBuy(
        price=Decimal(body["price_usd"]),
        spent=Decimal(body["spent_usd"]),
        scheduled=None if body["scheduled_usd"] is None else Decimal(body["scheduled_usd"]),
        window_s=body["window_s"],
        pays=body["pays"],
    )

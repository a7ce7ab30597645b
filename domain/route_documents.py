"""How is a route kept and shown? As JSON: amounts are decimal strings of dollars, named `…_usd`."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from domain.estimates import State
from domain.feasibility import Refusal
from domain.investing import Verdict
from domain.routing import Candidate, Problem, Route


def route_to_document(decision: Route) -> dict[str, Any]:
    return {
        "backend": decision.backend,
        "reason": decision.reason,
        "problem": decision.problem,
        "candidates": [candidate_to_document(each) for each in decision.candidates],
        "refused": [asdict(each) for each in decision.refused],
        "retry_in_s": decision.retry_in_s,
        "wakes": decision.wakes,
        "why_wake": decision.why_wake,
        "sleepers": list(decision.sleepers),
        "rent_usd": None if decision.rent is None else f"{decision.rent:f}",
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
        "why_cost": found.why_cost,
        "state": found.state.value,
        "rest_s": found.rest_s,
        "busy_s": found.busy_s,
        "late_s": found.late_s,
        "last": found.why_last,
        "session": None if found.session is None else verdict_to_document(found.session),
    }


def verdict_to_document(verdict: Verdict) -> dict[str, Any]:
    return {
        "pays": verdict.pays,
        "reason": verdict.reason,
        "price_usd": f"{verdict.price:f}",
        "spent_usd": f"{verdict.spent:f}",
        "scheduled_usd": None if verdict.scheduled is None else f"{verdict.scheduled:f}",
        "window_s": verdict.window_s,
    }


def route_from_document(body: Mapping[str, Any]) -> Route:
    return Route(
        backend=body["backend"],
        reason=body["reason"],
        problem=None if body["problem"] is None else Problem(body["problem"]),
        candidates=tuple(candidate_from_document(each) for each in body["candidates"]),
        refused=tuple(Refusal(**each) for each in body["refused"]),
        retry_in_s=body["retry_in_s"],
        wakes=body.get("wakes"),
        why_wake=body.get("why_wake", ""),
        sleepers=tuple(body.get("sleepers", ())),
        rent=Decimal(body["rent_usd"]) if body.get("rent_usd") else None,
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
        why_cost=body.get("why_cost", ""),
        state=State(body.get("state", State.UP)),
        rest_s=body.get("rest_s", 0.0),
        busy_s=body.get("busy_s", 0.0),
        late_s=body.get("late_s", 0.0),
        session=verdict_from_document(body["session"]) if body.get("session") else None,
    )


def verdict_from_document(body: Mapping[str, Any]) -> Verdict:
    return Verdict(
        price=Decimal(body["price_usd"]),
        spent=Decimal(body["spent_usd"]),
        scheduled=None if body["scheduled_usd"] is None else Decimal(body["scheduled_usd"]),
        window_s=body["window_s"],
        pays=body["pays"],
    )

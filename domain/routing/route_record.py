"""How is a route kept and shown? As JSON: amounts are decimal strings of dollars, named `…_usd`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from domain.routing.candidates import Candidate
from domain.routing.estimates import Estimate, Readiness
from domain.routing.filters import Rejection
from domain.routing.model_choice import RouteProblem
from domain.routing.rent_or_buy import RentOrBuy
from domain.routing.router import RouteDecision
from domain.routing.rule_choice import RuleChoice
from domain.tokens.counts import CountedBy, TokenCount
from domain.tokens.estimates import TokenEstimate


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
        **savings_to_document(decision),
        **rules_to_document(decision),
        **counts_to_document(decision),
        **wanted_to_document(decision),
    }


def wanted_to_document(decision: RouteDecision) -> dict[str, Any]:
    """Return how hard the turn seems and its tier; nothing where the caller or the fleet file leaves no choice."""
    if decision.wanted is None:
        return {}
    tier, (level, reasons), is_met = decision.wanted
    shown = {"level": level.value, "reasons": list(reasons), "tier": tier, "met": is_met}
    return {"difficulty": {**shown, "reason": decision.wanted.reason}}


def savings_to_document(decision: RouteDecision) -> dict[str, Any]:
    """Return the savings by backend; nothing where there are none."""
    savings = {name: f"{amount:f}" for name, amount in decision.savings.items()}
    return {"savings_usd": savings} if savings else {}


def rules_to_document(decision: RouteDecision) -> dict[str, Any]:
    """Return the adopted rules by backend; nothing where there are none."""
    rules = {name: choice.to_document() for name, choice in decision.rules.items()}
    return {"rules": rules} if rules else {}


def counts_to_document(decision: RouteDecision) -> dict[str, Any]:
    """Return the tokens of the input by model, and how they were counted; nothing in a record without them."""
    counts = {
        model: {
            "tokens": count.tokens.likely,
            "expected": count.tokens.expected,
            "at_most": count.tokens.ceiling,
            "counted_by": count.counted_by.value,
        }
        for model, count in decision.counts.items()
    }
    return {"input_tokens": counts} if counts else {}


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
    """Return the verdict. A field of a later release is left out while it has its old value."""
    return {
        "pays": verdict.pays,
        "reason": verdict.reason,
        "price_usd": f"{verdict.price:f}",
        "spent_usd": f"{verdict.spent:f}",
        "scheduled_usd": None if verdict.scheduled is None else f"{verdict.scheduled:f}",
        "window_s": verdict.window_s,
        **({} if verdict.multiple == 1 else {"multiple": verdict.multiple}),
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
        savings={name: Decimal(amount) for name, amount in body.get("savings_usd", {}).items()},
        rules={name: RuleChoice.from_document(choice) for name, choice in body.get("rules", {}).items()},
        counts={model: count_from_document(count) for model, count in body.get("input_tokens", {}).items()},
    )


def count_from_document(body: Mapping[str, Any]) -> TokenCount:
    tokens = TokenEstimate(expected=body["expected"], likely=body["tokens"], ceiling=body["at_most"])
    return TokenCount(tokens=tokens, counted_by=CountedBy(body["counted_by"]))


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
        multiple=body.get("multiple", 1.0),
    )

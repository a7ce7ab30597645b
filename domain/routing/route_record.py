"""How is a route kept and shown? As JSON: amounts are decimal strings of dollars, named `…_usd`."""

from typing import Any

from domain.routing.candidates import Candidate
from domain.routing.filters import Rejection
from domain.routing.rent_or_buy import RentOrBuy
from domain.routing.router import RouteDecision


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
        **escalation_to_document(decision),
    }


def escalation_to_document(decision: RouteDecision) -> dict[str, Any]:
    """Return whose answer failed its checks, and why; nothing where none did."""
    found = decision.escalation
    return {"escalation": {"from": found.backend, "reason": found.reason}} if found else {}


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
        **load_to_document(each),
    }


def load_to_document(each: Candidate) -> dict[str, Any]:
    """Return the KV memory of the backend and what the turn claims of it, and its speed beside the others that run.

    Nothing where neither is known.
    """
    memory = {"kv_memory": {**each.memory.to_document(), "claim": each.found.claim}} if each.memory else {}
    speed = each.found.decode_tokens_s
    return {**memory, **({"decode_tokens_s": round(speed, 3)} if speed else {})}


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

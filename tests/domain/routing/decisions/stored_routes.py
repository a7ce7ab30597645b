"""How is a stored route read back? Production never does: this proves that every route of the past is readable."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from domain.routing.candidates import Candidate
from domain.routing.estimates import Estimate, Readiness
from domain.routing.filters import Rejection
from domain.routing.model_choice import RouteProblem
from domain.routing.rent_or_buy import RentOrBuy
from domain.routing.router import RouteDecision
from domain.routing.rules.rule_choice import RuleChoice
from domain.tokens.counts import CountedBy, TokenCount
from domain.tokens.estimates import TokenEstimate


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

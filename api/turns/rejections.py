"""Which error does a caller get whose turn no backend can serve?"""

from collections.abc import Mapping

from api.parsing.responses_request import TurnRequest
from domain.errors import Invalid
from domain.routing.model_choice import RouteProblem
from domain.routing.router import RouteDecision

TIER = "tier"

FIELDS: Mapping[RouteProblem, tuple[str | None, str]] = {
    RouteProblem.MODEL_NOT_FOUND: ("model", "model_not_found"),
    RouteProblem.BACKEND_NOT_FOUND: ("model", "model_not_found"),
    RouteProblem.TIER_UNKNOWN: (f"metadata.{TIER}", "invalid_value"),
    RouteProblem.NONE_FEASIBLE: (None, "no_backend_feasible"),
}
"""The field of the request that a routing problem concerns, and the error code."""


def asks_too_much(request: TurnRequest, decision: RouteDecision) -> Invalid:
    """Return the error of a turn for which only the caller's own limit of output is too high."""
    field, limit = request.output_field, request.sampling.max_output_tokens or 0
    message = (
        f"Invalid '{field}': no backend can write {limit:,} tokens for this input. Lower the limit, or leave it out "
        f"for an answer up to the window: {with_reasons(decision)}."
    )
    return Invalid(message, field=field, code="invalid_value")


def with_reasons(decision: RouteDecision) -> str:
    reasons = "; ".join(f"{rejection.backend}: {rejection.reason}" for rejection in decision.rejected)
    return f"{decision.reason} ({reasons})" if reasons else decision.reason


def rejected(problem: RouteProblem, reason: str) -> Invalid:
    field, code = FIELDS[problem]
    return Invalid(f"{reason[:1].upper()}{reason[1:]}.", field=field, code=code)

"""Can the fleet take this turn, and what may it cost at worst?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from api.requests import Asked
from domain.errors import Invalid
from domain.estimates import Demand
from domain.fleet import Fleet
from domain.items import Item
from domain.prices import Price
from domain.routing import Problem, Route, Unknown, read_wish, route
from domain.sizing import tokens_in_request

TIER = "tier"

FIELDS: Mapping[Problem, tuple[str | None, str]] = {
    Problem.MODEL_NOT_FOUND: ("model", "model_not_found"),
    Problem.BACKEND_NOT_FOUND: ("model", "model_not_found"),
    Problem.TIER_UNKNOWN: (f"metadata.{TIER}", "invalid_value"),
    Problem.NONE_FEASIBLE: (None, "no_backend_feasible"),
}
"""Where in the request a problem is, and its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Asks the router in advance, about the fleet as its files have it: what is cold or busy now may soon not be."""

    fleet: Fleet
    prices: Mapping[str, Price]
    default_output_tokens: int

    def check_wish(self, asked: Asked) -> None:
        """Raise Invalid where the caller names a model, backend or tier that is not there."""
        wish = read_wish(asked.model, asked.metadata.get(TIER), self.fleet)
        if isinstance(wish, Unknown):
            raise refused(wish.problem, wish.reason)

    def worst_cost(self, asked: Asked, conversation: Sequence[Item]) -> Decimal:
        """Return the most that the turn may cost, in dollars, wherever it goes.

        Raises Invalid, with the reason of every backend, where none can ever take it.
        """
        decision = route(self.demand(asked, conversation), self.fleet, self.prices, {}, now=0.0)
        if decision.problem:
            raise refused(decision.problem, with_reasons(decision))
        return max(candidate.worst_cost for candidate in decision.candidates)

    def demand(self, asked: Asked, conversation: Sequence[Item]) -> Demand:
        tokens = tokens_in_request(texts_of(asked, conversation))
        return Demand(
            model=asked.model,
            tier=asked.metadata.get(TIER),
            input_tokens=tokens.likely,
            expected_input_tokens=tokens.expected,
            ceiling_input_tokens=tokens.ceiling,
            output_tokens=asked.sampling.max_output_tokens or self.default_output_tokens,
        )


def texts_of(asked: Asked, conversation: Sequence[Item]) -> Iterable[str]:
    return (asked.instructions or "", *(item.text for item in conversation))


def with_reasons(decision: Route) -> str:
    reasons = "; ".join(f"{refusal.backend}: {refusal.reason}" for refusal in decision.refused)
    return f"{decision.reason} ({reasons})" if reasons else decision.reason


def refused(problem: Problem, reason: str) -> Invalid:
    field, code = FIELDS[problem]
    return Invalid(f"{reason[:1].upper()}{reason[1:]}.", field=field, code=code)

"""Which backend takes the turn, and why that one?"""

from collections.abc import Mapping
from typing import cast

from clients.beliefs import Beliefs
from clients.clock import Clock
from clients.turns import Turns
from domain import wire
from domain.estimates import Demand
from domain.fleet import Fleet
from domain.prices import Price
from domain.routing import Route as Decision
from domain.routing import route, route_to_document
from domain.turns import Response

EXPECTED_ANSWER_TOKENS = 211
"""The mean answer of 19,366 requests of conversations (Azure Public Dataset, LLM inference trace 2023)."""

LEAST_PAUSE_S = 0.1
"""A pause this short at least, so that what it waits for has passed when it ends."""


class Route:
    """Decides on today's beliefs and records the decision with its reasons."""

    def __init__(
        self,
        *,
        turns: Turns,
        beliefs: Beliefs,
        fleet: Fleet,
        prices: Mapping[str, Price],
        clock: Clock,
        default_output_tokens: int,
    ) -> None:
        self.turns = turns
        self.beliefs = beliefs
        self.fleet = fleet
        self.prices = prices
        self.clock = clock
        self.default_output_tokens = default_output_tokens

    async def route(self, given: wire.RouteWire) -> wire.RoutedWire:
        owner = wire.owner_of(given)
        response = await self.turns.read(owner, given["response"])
        beliefs = await self.beliefs.read(self.fleet.backends)
        now = self.clock.now()
        decision = route(self.demand(response, given, now), self.fleet, self.prices, beliefs, now)
        gives = routed(decision, left_s=response.deadline_at - now)
        recorded = await self.turns.record_route(
            owner, response.id, number=given["number"], route=route_to_document(decision), routed=gives
        )
        return cast("wire.RoutedWire", recorded)

    def demand(self, response: Response, given: wire.RouteWire, now: float) -> Demand:
        size = given["size"]
        limit = response.sampling.max_output_tokens or self.default_output_tokens
        return Demand(
            model=response.model,
            input_tokens=size["likely"],
            expected_input_tokens=size["expected"],
            ceiling_input_tokens=size["ceiling"],
            request_bytes=size["bytes"],
            output_tokens=limit,
            expected_output_tokens=min(limit, EXPECTED_ANSWER_TOKENS),
            tier=response.metadata.get("tier"),
            deadline_s=response.deadline_at - now,
            excluded=given["excluded"],
        )


def routed(decision: Decision, *, left_s: float) -> wire.RoutedWire:
    """Return what the orchestration needs of a decision; `left_s` is the time to the deadline in seconds."""
    chosen = decision.chosen
    pause_s = 0.0 if decision.retry_in_s is None else max(decision.retry_in_s, LEAST_PAUSE_S)
    return {
        "backend": decision.backend,
        "reason": decision.reason if chosen else refusals(decision),
        "worst_cost": f"{chosen.worst_cost:f}" if chosen else "0",
        "output_tokens": chosen.output_tokens if chosen else 0,
        "has_alternative": decision.has_alternative,
        "delay_s": pause_s if pause_s < left_s else 0.0,
    }


def refusals(decision: Decision) -> str:
    why = "; ".join(f"{refused.backend}: {refused.reason}" for refused in decision.refused)
    return f"{decision.reason} ({why})" if why else decision.reason

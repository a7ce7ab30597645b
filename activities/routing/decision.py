"""Which backend would take a turn of this size, with the current backend states?"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from clients.clock import Clock
from domain import wire
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.routing.estimates import AttemptLimits, Demand
from domain.routing.rent_or_buy import window_s
from domain.routing.router import RouteDecision, route
from domain.turns.response import Response
from state.fleet.backend_state import BackendStates
from state.fleet.rental_spend import RentalSpend

EXPECTED_ANSWER_TOKENS = 211
"""The mean answer of 19,366 requests of conversations (Azure Public Dataset, LLM inference trace 2023)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRoute:
    """A decision with the backend states that it is based on; `at` is in seconds since the epoch."""

    route: RouteDecision
    backend_states: Mapping[str, BackendState]
    at: float


class RouteDecider:
    """Reads the backend states and decides. It changes nothing."""

    def __init__(
        self,
        *,
        backend_states: BackendStates,
        rental_spend: RentalSpend,
        fleet: Fleet,
        clock: Clock,
        default_output_tokens: int,
        attempt_limits: AttemptLimits,
    ) -> None:
        self.backend_states = backend_states
        self.rental_spend = rental_spend
        self.fleet = fleet
        self.clock = clock
        self.default_output_tokens = default_output_tokens
        self.attempt_limits = attempt_limits

    @property
    def scaling_backends(self) -> tuple[Backend, ...]:
        """The backends that scale to zero."""
        return tuple(backend for backend in self.fleet.backends.values() if backend.cold_start.scales_to_zero)

    async def decide(self, response: Response, size: wire.SizeWire, *, excluded: Mapping[str, str]) -> DecidedRoute:
        states, spent = await asyncio.gather(self.backend_states.read(self.fleet.backends), self.recent_rental_spend())
        now = self.clock.now()
        demand = self.demand(response, size, excluded, now)
        decision = route(demand, self.fleet, states, now, spent=spent)
        return DecidedRoute(route=decision, backend_states=states, at=now)

    async def recent_rental_spend(self) -> Mapping[str, Decimal]:
        """Return the rental spend of the last window, in dollars, for each backend that scales to zero."""
        scaling = self.scaling_backends
        amounts = await asyncio.gather(*(self.rental_spend.total(each, window_s=window_s(each)) for each in scaling))
        return {backend.name: amount for backend, amount in zip(scaling, amounts, strict=True)}

    async def record_rental_spend(self, decided: DecidedRoute) -> None:
        """Add the turn's cost on a rented backend to the rental spend of the backends that could replace it.

        Those are the candidates that scale to zero, or the chosen backend alone where it scales to zero itself.
        """
        route = decided.route
        chosen = self.fleet.backends[route.backend] if route.backend else None
        if chosen is None or route.rental_spend is None:
            return
        eligible = {*(each.backend for each in route.candidates), *route.cold_candidates}
        names = {chosen.name} if chosen.cold_start.scales_to_zero else eligible
        for backend in (self.fleet.backends[name] for name in sorted(names)):
            if backend.cold_start.scales_to_zero:
                with suppress(Retryable):
                    await self.rental_spend.add(backend, route.rental_spend, window_s=window_s(backend))

    def demand(self, response: Response, size: wire.SizeWire, excluded: Mapping[str, str], now: float) -> Demand:
        requested = response.options.sampling.max_output_tokens
        limit = self.default_output_tokens if requested is None else requested
        return Demand(
            model=response.model,
            input_tokens=size["likely"],
            expected_input_tokens=size["expected"],
            ceiling_input_tokens=size["ceiling"],
            request_bytes=size["bytes"],
            output_tokens=limit,
            expected_output_tokens=min(limit, EXPECTED_ANSWER_TOKENS),
            tier=response.options.metadata.get("tier"),
            deadline_s=response.deadline_at - now,
            excluded=excluded,
            needs=response.required_capabilities,
            admitted_at=response.created_at,
            attempt_limits=self.attempt_limits,
        )

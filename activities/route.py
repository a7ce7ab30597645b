"""Which backend takes the turn, why that one, and when?"""

from dataclasses import dataclass, replace
from typing import cast

from activities.routing.decision import DecidedRoute, RouteDecider
from activities.routing.warm_up import BackendWarmer
from domain import wire
from domain.identity.owners import Owner
from domain.money.prices import TimePrice
from domain.routing.estimates import Readiness
from domain.routing.queueing import QueuedTurn, QueueWait, hold_for, wait_for
from domain.routing.route_record import route_to_document
from domain.routing.router import RouteDecision as Decision
from domain.turns.response import Response
from state.fleet.backend_state import BackendStates
from state.turns.responses import TurnStore
from telemetry import count_wait

MIN_PAUSE_S = 0.1
"""A pause this short at least, so that what it waits for has passed when it ends."""

MAX_PROBE_TRIES = 5
"""A turn that so often came too late to be the one that tries a backend in doubt is let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRoute:
    """A decision for a turn, and how long it is waited for before the backend is asked."""

    turn: QueuedTurn
    deadline_at: float
    decided: DecidedRoute
    wait: QueueWait | None

    @property
    def route(self) -> Decision:
        return self.decided.route


class RouteTurn:
    """Decides on today's beliefs and records the decision with its reasons."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        backend_states: BackendStates,
        decider: RouteDecider,
        warmer: BackendWarmer,
    ) -> None:
        self.turns = turns
        self.backend_states = backend_states
        self.decider = decider
        self.warmer = warmer

    async def route(self, request: wire.RouteWire) -> wire.RoutedWire:
        owner = wire.owner_from_wire(request)
        response = await self.turns.read(owner, request["response"])
        planned = await self.prepare(response, request)
        gives = self.routed(planned)
        document = {**route_to_document(planned.route), "wait": planned.wait.to_document() if planned.wait else None}
        recorded = await self.turns.record_route(
            owner, response.id, number=request["number"], route=document, routed=gives
        )
        if recorded is gives:
            await self.count(planned, gives)
        return cast("wire.RoutedWire", recorded)

    async def prepare(self, response: Response, request: wire.RouteWire) -> PlannedRoute:
        """Decide and do what the decision asks for; what its wake has shown is decided on anew. Safe to repeat."""
        planned = await self.plan(response, request)
        for _ in self.decider.fleet.backends:
            if not await self.woke(planned, response.owner):
                break
            before, planned = planned, await self.plan(response, request)
            if planned.route.warm_up == before.route.warm_up:
                planned = replace(planned, wait=None)
                break
        if planned.wait and planned.route.backend:
            await self.backend_states.record_queued_turn(
                self.decider.fleet.backends[planned.route.backend], planned.turn, planned.wait
            )
        return planned

    async def count(self, planned: PlannedRoute, gives: wire.RoutedWire) -> None:
        """Count what follows: the rent of a turn that goes on, or how long it waits, and for what."""
        if planned.wait is None:
            await self.decider.record_rental_spend(planned.decided)
        if gives["delay_s"]:
            name = planned.route.backend
            backend = self.decider.fleet.backends[name] if name else None
            count_wait(backend, gives["delay_s"], reason=planned.wait.cause if planned.wait else "pause")

    async def plan(self, response: Response, request: wire.RouteWire) -> PlannedRoute:
        """Decide; where a backend in trouble may be tried by one turn alone, only one decides for it."""
        turn = QueuedTurn(
            response=response.id,
            input_tokens=request["size"]["likely"],
            admitted_at=response.created_at,
            hold_s=self.decider.attempt_limits.hold_s,
        )
        decided = await self.decider.decide(response, request["size"], excluded=request["excluded"])
        for _ in range(MAX_PROBE_TRIES):
            if await self.may_try(decided, response.id):
                break
            decided = await self.decider.decide(response, request["size"], excluded=request["excluded"])
        wait = self.wait(decided, turn)
        return PlannedRoute(turn=turn, deadline_at=response.deadline_at, decided=decided, wait=wait)

    async def may_try(self, decided: DecidedRoute, response_id: str) -> bool:
        name = decided.route.backend
        if name is None or not decided.backend_states[name].is_uncertain:
            return True
        return await self.backend_states.claim_probe(self.decider.fleet.backends[name], response_id)

    def wait(self, decided: DecidedRoute, turn: QueuedTurn) -> QueueWait | None:
        chosen = decided.route.chosen
        if chosen is None:
            return None
        backend, belief = self.decider.fleet.backends[chosen.backend], decided.backend_states[chosen.backend]
        return wait_for(chosen, belief, backend, turn, now=decided.at)

    async def woke(self, planned: PlannedRoute, owner: Owner) -> bool:
        """Wake what the decision wants; True where the turn would wait for that, and how it went can be seen now.

        A start that nobody could begin, then, is not waited for: the attempt finds out why.
        """
        route = planned.route
        if route.warm_up is None:
            return False
        wait = planned.wait is not None and route.warm_up == route.backend
        backend = self.decider.fleet.backends[route.warm_up]
        await self.warmer.warm_up(backend, planned.turn.response, owner=owner, wait=wait)
        return wait

    def routed(self, planned: PlannedRoute) -> wire.RoutedWire:
        """Return what the orchestration needs of a decision."""
        left_s = planned.deadline_at - planned.decided.at
        chosen = planned.route.chosen
        if chosen is None:
            return nowhere(planned.route, left_s)
        if planned.wait:
            return later(planned.wait, left_s)
        backend, belief = self.decider.fleet.backends[chosen.backend], planned.decided.backend_states[chosen.backend]
        timed = isinstance(backend.price, TimePrice)
        return {
            "backend": chosen.backend,
            "reason": planned.route.reason,
            "worst_cost": f"{chosen.worst_cost:f}",
            "output_tokens": chosen.output_tokens,
            "has_alternative": planned.route.has_alternative,
            "delay_s": 0.0,
            "cold": chosen.readiness is not Readiness.UP,
            "hold_s": hold_for(chosen, belief, backend, planned.turn),
            "limit_s": chosen.worst_s if timed else None,
            "input_tokens": planned.turn.input_tokens,
        }


def nowhere(decision: Decision, left_s: float) -> wire.RoutedWire:
    """Return that no backend takes the turn now; `left_s` is the time to the deadline in seconds."""
    pause_s = 0.0 if decision.retry_in_s is None else max(decision.retry_in_s, MIN_PAUSE_S)
    return waiting(refusals(decision), pause_s if pause_s < left_s else 0.0)


def later(wait: QueueWait, left_s: float) -> wire.RoutedWire:
    if wait.delay_s < left_s:
        return waiting(wait.reason, max(wait.delay_s, MIN_PAUSE_S))
    return waiting(f"The deadline passes before a backend is ready: {wait.reason}, {left_s:,.1f} s are left.", 0.0)


def waiting(reason: str, delay_s: float) -> wire.RoutedWire:
    return {
        "backend": None,
        "reason": reason,
        "worst_cost": "0",
        "output_tokens": 0,
        "has_alternative": False,
        "delay_s": delay_s,
    }


def refusals(decision: Decision) -> str:
    why = "; ".join(f"{refused.backend}: {refused.reason}" for refused in decision.rejected)
    return f"{decision.reason} ({why})" if why else decision.reason

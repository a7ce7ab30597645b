"""Which backend takes the turn, why that one, and when?"""

from dataclasses import asdict, dataclass, replace
from typing import cast

from activities.routing.decision import Decided, Deciding
from activities.routing.wake import Waking
from domain import wire
from domain.identity.owners import Owner
from domain.money.prices import TimePrice
from domain.routing.estimates import State
from domain.routing.queueing import Turn, Wait, hold_for, wait_for
from domain.routing.route_record import route_to_document
from domain.routing.router import Route as Decision
from domain.turns.response import Response
from state.fleet.backend_state import Beliefs
from state.turns.responses import Turns
from telemetry import count_wait

LEAST_PAUSE_S = 0.1
"""A pause this short at least, so that what it waits for has passed when it ends."""

PROBES = 5
"""A turn that so often came too late to be the one that tries a backend in doubt is let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A decision for a turn, and how long it is waited for before the backend is asked."""

    turn: Turn
    deadline_at: float
    decided: Decided
    wait: Wait | None

    @property
    def route(self) -> Decision:
        return self.decided.route


class Route:
    """Decides on today's beliefs and records the decision with its reasons."""

    def __init__(self, *, turns: Turns, beliefs: Beliefs, deciding: Deciding, waking: Waking, hold_s: float) -> None:
        self.turns = turns
        self.beliefs = beliefs
        self.deciding = deciding
        self.waking = waking
        self.hold_s = hold_s

    async def route(self, given: wire.RouteWire) -> wire.RoutedWire:
        owner = wire.owner_of(given)
        response = await self.turns.read(owner, given["response"])
        planned = await self.prepared(response, given)
        gives = self.routed(planned)
        document = {**route_to_document(planned.route), "wait": asdict(planned.wait) if planned.wait else None}
        recorded = await self.turns.record_route(
            owner, response.id, number=given["number"], route=document, routed=gives
        )
        if recorded is gives:
            await self.count(planned, gives)
        return cast("wire.RoutedWire", recorded)

    async def prepared(self, response: Response, given: wire.RouteWire) -> Planned:
        """Decide and do what the decision asks for; what its wake has shown is decided on anew. Safe to repeat."""
        planned = await self.plan(response, given)
        for _ in self.deciding.fleet.backends:
            if not await self.woke(planned, response.owner):
                break
            before, planned = planned, await self.plan(response, given)
            if planned.route.wakes == before.route.wakes:
                planned = replace(planned, wait=None)
                break
        if planned.wait and planned.route.backend:
            await self.beliefs.queue(self.deciding.fleet.backends[planned.route.backend], planned.turn, planned.wait)
        return planned

    async def count(self, planned: Planned, gives: wire.RoutedWire) -> None:
        """Count what follows: the rent of a turn that goes on, or how long it waits, and for what."""
        if planned.wait is None:
            await self.deciding.pay_rent(planned.decided)
        if gives["delay_s"]:
            name = planned.route.backend
            backend = self.deciding.fleet.backends[name] if name else None
            count_wait(backend, gives["delay_s"], reason=planned.wait.cause if planned.wait else "pause")

    async def plan(self, response: Response, given: wire.RouteWire) -> Planned:
        """Decide; where a backend in trouble may be tried by one turn alone, only one decides for it."""
        turn = Turn(
            response=response.id,
            input_tokens=given["size"]["likely"],
            admitted_at=response.created_at,
            hold_s=self.hold_s,
        )
        decided = await self.deciding.decide(response, given["size"], excluded=given["excluded"])
        for _ in range(PROBES):
            if await self.may_try(decided, response.id):
                break
            decided = await self.deciding.decide(response, given["size"], excluded=given["excluded"])
        wait = self.wait(decided, turn)
        return Planned(turn=turn, deadline_at=response.deadline_at, decided=decided, wait=wait)

    async def may_try(self, decided: Decided, response_id: str) -> bool:
        name = decided.route.backend
        if name is None or not decided.beliefs[name].in_doubt:
            return True
        return await self.beliefs.probe(self.deciding.fleet.backends[name], response_id)

    def wait(self, decided: Decided, turn: Turn) -> Wait | None:
        chosen = decided.route.chosen
        if chosen is None:
            return None
        backend, belief = self.deciding.fleet.backends[chosen.backend], decided.beliefs[chosen.backend]
        return wait_for(chosen, belief, backend, turn, now=decided.at)

    async def woke(self, planned: Planned, owner: Owner) -> bool:
        """Wake what the decision wants; True where the turn would wait for that, and how it went can be seen now.

        A start that nobody could begin, then, is not waited for: the attempt finds out why.
        """
        route = planned.route
        if route.wakes is None:
            return False
        wait = planned.wait is not None and route.wakes == route.backend
        backend = self.deciding.fleet.backends[route.wakes]
        await self.waking.wake(backend, planned.turn.response, owner=owner, wait=wait)
        return wait

    def routed(self, planned: Planned) -> wire.RoutedWire:
        """Return what the orchestration needs of a decision."""
        left_s = planned.deadline_at - planned.decided.at
        chosen = planned.route.chosen
        if chosen is None:
            return nowhere(planned.route, left_s)
        if planned.wait:
            return later(planned.wait, left_s)
        backend, belief = self.deciding.fleet.backends[chosen.backend], planned.decided.beliefs[chosen.backend]
        timed = isinstance(self.deciding.prices[backend.price], TimePrice)
        return {
            "backend": chosen.backend,
            "reason": planned.route.reason,
            "worst_cost": f"{chosen.worst_cost:f}",
            "output_tokens": chosen.output_tokens,
            "has_alternative": planned.route.has_alternative,
            "delay_s": 0.0,
            "cold": chosen.state is not State.UP,
            "hold_s": hold_for(chosen, belief, backend, planned.turn),
            "limit_s": chosen.worst_s if timed else None,
            "input_tokens": planned.turn.input_tokens,
        }


def nowhere(decision: Decision, left_s: float) -> wire.RoutedWire:
    """Return that no backend takes the turn now; `left_s` is the time to the deadline in seconds."""
    pause_s = 0.0 if decision.retry_in_s is None else max(decision.retry_in_s, LEAST_PAUSE_S)
    return waiting(refusals(decision), pause_s if pause_s < left_s else 0.0)


def later(wait: Wait, left_s: float) -> wire.RoutedWire:
    if wait.delay_s < left_s:
        return waiting(wait.reason, max(wait.delay_s, LEAST_PAUSE_S))
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
    why = "; ".join(f"{refused.backend}: {refused.reason}" for refused in decision.refused)
    return f"{decision.reason} ({why})" if why else decision.reason

"""Which backend takes the turn, why, and when?"""

from collections.abc import Mapping
from copy import replace
from typing import cast

from msgspec import Struct

from activities.routing.decision import DecidedRoute, RouteDecider, following_attempt
from activities.routing.growth import FleetGrowth
from activities.routing.warm_up import BackendWarmer
from domain import wire
from domain.fleet.catalog import Backend, ContinuationMode
from domain.fleet.instances.inferred import grows_itself
from domain.identity.owners import Owner
from domain.money.prices import TimePrice
from domain.routing.estimates import Readiness
from domain.routing.further_rule import FurtherVerdict
from domain.routing.queueing import QueuedTurn, QueueWait, hold_for, wait_for
from domain.routing.route_record import route_to_document
from domain.routing.router import RouteDecision
from domain.turns.response import Response
from state.fleet.backend_state import BackendStates
from state.fleet.promised_places import PROMISED_S, SOON_S
from state.turns.responses import TurnStore

MIN_PAUSE_S = 0.1
"""The shortest pause, so that its cause has passed when it ends."""

MAX_PROBE_TRIES = 5
"""A turn that failed this often to become the one that probes an uncertain backend is let through."""

PAUSE = "pause"
"""The cause of a wait while all backends are unavailable."""

PREFERRED = "the batch runs on "
"""The reason of all other backends in the route of a line whose batch has started one."""

OVER: wire.RoutedWire = {
    "backend": None,
    "reason": "the response has ended",
    "worst_cost": "0",
    "output_tokens": 0,
    "has_alternative": False,
    "delay_s": 0.0,
}
"""The route of a turn that was ended from outside: it wakes no backend and waits for none."""


class PlannedRoute(Struct, frozen=True, kw_only=True):
    """A decision for a turn, and how long the turn waits before it calls the backend.

    `further` says whether one more instance of it starts; None where that is no question.
    """

    turn: QueuedTurn
    deadline_at: float
    decided: DecidedRoute
    wait: QueueWait | None
    capped: wire.CappedWire | None = None
    further: FurtherVerdict | None = None

    @property
    def route(self) -> RouteDecision:
        return self.decided.route

    def prompt_tokens(self, backend: Backend) -> int:
        """Return the estimated tokens that the backend reads: one that continues an answer reads that too."""
        is_continued = self.capped and backend.continues is not ContinuationMode.NO
        read = self.route.counts[backend.model].tokens.likely
        return read + (self.capped["written"] if self.capped and is_continued else 0)

    @property
    def left_s(self) -> float:
        """The time to the deadline in seconds."""
        return self.deadline_at - self.decided.at

    @property
    def queued_at(self) -> str | None:
        """The backend that the turn waits for; None where it does not wait, or not until its deadline."""
        return self.route.backend if self.wait and self.wait.delay_s < self.left_s else None


class RouteTurn:
    """Decides with the current backend states, and records the decision with its reasons."""

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
        self.growth = FleetGrowth(decider, warmer)

    async def route(self, request: wire.RouteWire) -> wire.RoutedWire:
        owner = wire.owner_from_wire(request)
        response = await self.turns.read(owner, request["response"])
        if response.status.is_terminal:
            return OVER
        planned = await self.prepare(response, request)
        result = self.routed(planned)
        further = {"further": planned.further.to_document()} if planned.further else {}
        wait = planned.wait.to_document() if planned.wait else None
        document = {**route_to_document(planned.route), "wait": wait, **further}
        recorded = await self.turns.record_route(
            owner, response.id, number=request["number"], route=document, routed=result
        )
        if recorded is result:
            await self.count(planned, is_repeated=request.get("repeated", False))
        return cast("wire.RoutedWire", recorded)

    async def prepare(self, response: Response, request: wire.RouteWire) -> PlannedRoute:
        """Decide, start the warm-up that the decision wants, and decide again with what the warm-up showed.

        Safe to repeat.
        """
        planned = await self.plan(response, request)
        for _ in self.decider.fleet.backends:
            if not await self.warm_up(planned, response.owner):
                break
            before, planned = planned, await self.plan(response, request)
            if planned.route.warm_up == before.route.warm_up:
                planned = replace(planned, wait=None)
                break
        if await self.sees_end_of_start(planned):
            planned = await self.plan(response, request)
        await self.update_queues(planned)
        found = await self.growth.start_where_it_pays(planned.decided, planned.turn, planned.wait, response)
        return replace(planned, further=found) if found else planned

    async def sees_end_of_start(self, planned: PlannedRoute) -> bool:
        """Look at the start that the turn is the first to wait for, if that is due; the end of it wakes the others."""
        wait, name = planned.wait, planned.queued_at
        if not (wait and name and wait.look_s):
            return False
        backend, state = self.decider.fleet.backends[name], planned.decided.backend_states[name]
        start = state.warmth.start_under_way(self.decider.clock.now())
        return start is not None and await self.warmer.observer.probe(backend, start.by, hold_s=wait.look_s)

    async def update_queues(self, planned: PlannedRoute) -> None:
        """Keep the turn's place in the queue of the backend that it waits for, and give up its other places.

        One that is deferrable has no place: all others come before it.
        """
        name, turn, wait = planned.queued_at, planned.turn, planned.wait
        for other, state in planned.decided.backend_states.items():
            if other != planned.route.backend and turn.response in state.load.queue_places:
                await self.backend_states.leave_queue(self.decider.fleet.backends[other], turn.response)
        if name and wait and not turn.is_deferrable:
            await self.backend_states.record_queued_turn(self.decider.fleet.backends[name], turn, wait)

    async def count(self, planned: PlannedRoute, *, is_repeated: bool) -> None:
        """Count the rental spend of a turn that does not wait.

        An answer that goes on, or that a failed attempt did not give, is not counted again.
        """
        if planned.wait is None and not is_repeated:
            await self.decider.record_rental_spend(planned.decided)

    async def plan(self, response: Response, request: wire.RouteWire) -> PlannedRoute:
        """Decide. Only one turn at a time may choose an uncertain backend; the others decide again."""
        turn = QueuedTurn(
            response=response.id,
            input_tokens=request["size"]["likely"],
            admitted_at=response.created_at,
            hold_s=self.decider.attempt_limits.hold_s,
            is_deferrable=bool(response.options.batch),
            route=request["number"],
        )
        decided = await self.decide(response, request)
        for _ in range(MAX_PROBE_TRIES):
            if await self.may_call(decided, response.id):
                break
            decided = await self.decide(response, request)
        wait = self.wait(decided, turn)
        return PlannedRoute(
            turn=turn, deadline_at=response.deadline_at, decided=decided, capped=request.get("capped"), wait=wait
        )

    async def decide(self, response: Response, request: wire.RouteWire) -> DecidedRoute:
        """Decide for the backend that the turn prefers; for any where that one can never take it."""
        prefers, excluded = request.get("prefers", ""), request["excluded"]
        if prefers and prefers not in excluded:
            others = {name: f"{PREFERRED}{prefers}" for name in self.decider.fleet.backends if name != prefers}
            decided = await self.decide_without(response, request, {**others, **excluded})
            if decided.route.backend is not None or decided.route.retry_in_s is not None:
                return decided
        return await self.decide_without(response, request, excluded)

    async def decide_without(
        self, response: Response, request: wire.RouteWire, excluded: Mapping[str, str]
    ) -> DecidedRoute:
        return await self.decider.decide(
            response,
            request["size"],
            excluded=excluded,
            capped=request.get("capped"),
            escalation=request.get("escalation"),
            is_repeated=request.get("repeated", False),
        )

    async def may_call(self, decided: DecidedRoute, response_id: str) -> bool:
        name = decided.route.backend
        if name is None or not decided.backend_states[name].health.is_uncertain:
            return True
        return await self.backend_states.claim_probe(self.decider.fleet.backends[name], response_id)

    def wait(self, decided: DecidedRoute, turn: QueuedTurn) -> QueueWait | None:
        chosen = decided.route.chosen
        if chosen is None:
            return None
        backend, state = self.decider.fleet.backends[chosen.backend], decided.backend_states[chosen.backend]
        takes_places = turn.is_deferrable or grows_itself(backend)
        if not takes_places and not chosen.memory:
            return wait_for(chosen, state, backend, turn, now=decided.at)
        places, claim = self.backend_states.promised, chosen.found.claim
        ahead = state.load.names_before(turn.response, turn.place, decided.at)
        others = places.beside(backend.name, state.load.in_flight, counted={turn.response, *ahead}, now=decided.at)
        beside = replace(turn, beside=len(others) if takes_places else 0, promised=tuple(others))
        found = wait_for(chosen, state, backend, beside, now=decided.at)
        if found is None:
            for_s = PROMISED_S if turn.is_deferrable else SOON_S
            places.give(backend.name, turn.response, claim=claim, now=decided.at, for_s=for_s)
        return found

    async def warm_up(self, planned: PlannedRoute, owner: Owner) -> bool:
        """Warm up the backend that the decision names; True where the turn waits for it and has to decide again.

        The new decision does not wait for a start that failed: the attempt finds out why.
        """
        route = planned.route
        if route.warm_up is None:
            return False
        wait = planned.wait is not None and route.warm_up == route.backend
        backend = self.decider.backend(route.warm_up)
        await self.warmer.warm_up(
            backend, planned.turn.response, owner=owner, wait=wait, following=following_attempt(route)
        )
        return wait

    def routed(self, planned: PlannedRoute) -> wire.RoutedWire:
        """Return the part of a decision that the orchestration needs."""
        chosen = planned.route.chosen
        if chosen is None:
            return {**no_backend(planned.route, planned.left_s), "wait": {"backend": "", "reason": PAUSE}}
        if planned.wait:
            cause: wire.WaitReasonWire = {"backend": chosen.backend, "reason": planned.wait.cause}
            return {**wait_for_backend(planned.wait, planned.left_s), "wait": cause}
        backend, state = self.decider.fleet.backends[chosen.backend], planned.decided.backend_states[chosen.backend]
        is_billed_by_time = isinstance(backend.price, TimePrice)
        taken: wire.RoutedWire = {
            "backend": chosen.backend,
            "reason": planned.route.reason,
            "worst_cost": f"{chosen.worst_cost:f}",
            "output_tokens": chosen.output_tokens,
            "has_alternative": planned.route.has_alternative,
            "delay_s": 0.0,
            "cold": chosen.readiness is not Readiness.UP,
            "hold_s": hold_for(chosen, state, backend, planned.turn, now=planned.decided.at),
            "limit_s": chosen.worst_s if is_billed_by_time else None,
            "input_tokens": planned.prompt_tokens(backend),
        }
        claim: wire.RoutedWire = {**taken, "claim": chosen.found.claim} if chosen.memory else taken
        return {**claim, "escalates": True} if planned.route.escalates else claim


def no_backend(decision: RouteDecision, left_s: float) -> wire.RoutedWire:
    """Return that no backend takes the turn now; `left_s` is the time to the deadline in seconds."""
    pause_s = 0.0 if decision.retry_in_s is None else max(decision.retry_in_s, MIN_PAUSE_S)
    return without_backend(reason_with_rejections(decision), pause_s if pause_s < left_s else 0.0)


def wait_for_backend(wait: QueueWait, left_s: float) -> wire.RoutedWire:
    """Return that the turn waits, or that its deadline passes first; `left_s` is the time to the deadline."""
    if wait.delay_s < left_s:
        return without_backend(wait.reason, max(wait.delay_s, MIN_PAUSE_S))
    return without_backend(f"The deadline is in {left_s:,.1f} s, before a backend is ready: {wait.reason}.", 0.0)


def without_backend(reason: str, delay_s: float) -> wire.RoutedWire:
    return {
        "backend": None,
        "reason": reason,
        "worst_cost": "0",
        "output_tokens": 0,
        "has_alternative": False,
        "delay_s": delay_s,
    }


def reason_with_rejections(decision: RouteDecision) -> str:
    rejections = "; ".join(f"{each.backend}: {each.reason}" for each in decision.rejected)
    return f"{decision.reason} ({rejections})" if rejections else decision.reason

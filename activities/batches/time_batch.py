"""Does a batch begin now, or does it cost less to wait?"""

from copy import replace
from decimal import Decimal
from typing import Final

from msgspec import Struct

from activities.batches.batch_input import BatchInput
from clients.clock import Clock
from domain import wire
from domain.batches.batch import Batch, BatchStatus
from domain.batches.batch_wire import BatchTimedWire, TimeBatchWire
from domain.batches.start_time import ALONE, BatchOption, StartDecision, WaitingLines, decide_start
from domain.errors import NotFound
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.money.cheap_hours import CheapHours
from domain.money.prices import TimePrice
from domain.routing.candidates import Candidate
from domain.routing.estimates import AttemptLimits, Demand, Readiness
from domain.routing.queueing import room_beside_others
from domain.routing.rent_or_buy import session_price
from domain.routing.router import route
from state.batches.waiting_batches import lines_waiting_with
from state.fleet.backend_state import BackendStates

LONGEST_S: Final = 5 * 86_400.0
"""A timer of more than six days can't be cancelled."""

SHORTEST_S: Final = 1.0
LEAST_LINE_S: Final = 1 / 40
"""However fast a backend is, a process of the app may run no more than 40 lines a second."""

NOW: Final[BatchTimedWire] = {"delay_s": 0.0}


class StartPlanner(Struct, frozen=True, kw_only=True):
    """Asks the router what lines cost on each backend, as the fleet is now."""

    fleet: Fleet
    backend_states: BackendStates
    attempt_limits: AttemptLimits
    cheap_hours: CheapHours
    clock: Clock

    @property
    def may_start_one(self) -> bool:
        """Whether a backend of the fleet has to be started at times: only then do other batches matter to one."""
        return any(each.cold_start.scales_to_zero for each in self.fleet.backends.values())

    async def decide(self, batch: Batch, waiting: WaitingLines) -> StartDecision:
        """Decide for a batch among the lines that wait for its model."""
        now = self.clock.now()
        options = await self.options(batch) if batch.model else ()
        return decide_start(
            options,
            lines=batch.lines,
            waiting=waiting,
            now=now,
            expires_at=batch.expires_at,
            is_cheap_hour=self.cheap_hours.include(now),
        )

    async def options(self, batch: Batch) -> tuple[BatchOption, ...]:
        """Return what an average line costs on each backend that can serve it."""
        states = await self.backend_states.among(await self.backend_states.documents(), self.fleet.backends)
        demand = Demand(
            model=batch.model or "",
            input_tokens=batch.input_tokens,
            output_tokens=batch.output_tokens,
            attempt_limits=self.attempt_limits,
        )
        decision = route(demand, self.fleet, states, self.clock.now())
        return tuple(self.option(each, states[each.backend]) for each in decision.candidates)

    def option(self, found: Candidate, state: BackendState) -> BatchOption:
        """Return what an average line costs and takes.

        A backend whose requests take longer than the tokens of a line should, is planned for at its own pace, and one
        that is faster than the app at the pace of the app.
        """
        backend = self.fleet.backends[found.backend]
        price, room = backend.price, room_beside_others(backend.limits.concurrency)
        lasts_s = max(found.busy_s, state.speed.service_s or 0.0)
        line = BatchOption(backend=backend.name, line_cost=found.cost, line_s=max(lasts_s / room, LEAST_LINE_S))
        if not (isinstance(price, TimePrice) and backend.cold_start.scales_to_zero):
            return line
        line = replace(
            line,
            line_cost=price.amount * Decimal(str(round(found.busy_s / room, 6))) / price.per_s,
        )
        cost = session_price(price, backend.cold_start.p50_s)
        if found.readiness is not Readiness.COLD:
            return replace(line, start_cost=self.added_idle_cost(backend, price, state), restart_cost=cost)
        return replace(line, start_cost=cost, start_s=state.start_times.p99_s, is_up=False)

    def added_idle_cost(self, backend: Backend, price: TimePrice, state: BackendState) -> Decimal:
        """Return what a warm backend costs because it goes later: its idle period begins again with the lines."""
        now, until = self.clock.now(), state.warmth.warm_until
        if until is None or state.load.running(now) or state.warmth.warm_up:
            return Decimal(0)
        added_s = max(0.0, backend.cold_start.idle_s - (until - now))
        return price.amount * Decimal(str(round(added_s, 3))) / price.per_s


class TimeBatch:
    """Decides, and stores the decision with its reason."""

    def __init__(self, *, source: BatchInput, planner: StartPlanner, clock: Clock) -> None:
        self.source = source
        self.planner = planner
        self.clock = clock

    async def time(self, request: TimeBatchWire) -> BatchTimedWire:
        """Return how long a batch waits until it is looked at again; 0 where it begins, or has been stopped."""
        batches = self.source.batches
        try:
            batch = await batches.read(wire.owner_from_wire(request), request["response"])
        except NotFound:
            return NOW
        if batch.status is not BatchStatus.IN_PROGRESS:
            return NOW
        before = await batches.starts.read(batch)
        if before and before.decision.starts:
            return NOW
        waiting = ALONE
        if self.planner.may_start_one:
            waiting = await lines_waiting_with(batches, batch, now=self.clock.now())
        decision = await self.planner.decide(batch, waiting)
        await batches.starts.save(batch, decision, looks=request["looks"])
        if decision.starts:
            return NOW
        cheap_at = self.planner.cheap_hours.next_after(self.clock.now())
        until = min(decision.latest_start, batch.expires_at, cheap_at or batch.expires_at)
        wait_s = until - self.clock.now()
        return {"delay_s": round(min(max(wait_s, SHORTEST_S), LONGEST_S), 3)}

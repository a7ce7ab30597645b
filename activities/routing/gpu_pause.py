"""How is a GPU released during a long call, and started for its end?

The product ends an instance that it counts, and sends no more requests to one that it keeps alive; one that its
provider ends is left to its idle period. Both happen beside the call, in its step. If the process dies, the lease still
ends the instance; the repeated step starts it, and so does the next route of the turn.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from copy import replace
from functools import partial
from typing import Any, NamedTuple

from activities.routing.decision import RouteDecider
from activities.routing.instance_keeper import InstanceKeeper
from activities.routing.warm_up import BackendWarmer
from clients.clock import Clock
from domain import wire
from domain.errors import GanglionError
from domain.fleet.catalog import Backend
from domain.fleet.instances.lease import is_counted
from domain.fleet.instances.time_up import end_by_provider, time_up
from domain.fleet.state_updates import after_letting_go
from domain.ids import thread_of
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession
from domain.tools.pauses.durations import CallTimes, tool_name
from domain.tools.pauses.pause_record import PauseRecord
from domain.tools.pauses.tool_pause import GpuDuringCall, ToolPause, tool_pause
from domain.turns.response import Response
from state.money.session_sharers import SharerReader
from state.tools.durations import LearnedToolDurations
from state.tools.turn_pauses import TurnPauses
from state.turns.responses import TurnStore

log = logging.getLogger("ganglion.activities")


class PausedTurn(NamedTuple):
    """A turn whose calls run in a round, when they end, and the backend that it used last."""

    response: Response
    round: int
    calls: tuple[str, ...]
    times: CallTimes
    backend: Backend
    price: TimePrice


class GpuPauses:
    """Decides when a round's calls begin. A fleet whose backends have no idle periods reads nothing for it."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        records: TurnPauses,
        durations: LearnedToolDurations,
        sharers: SharerReader,
        decider: RouteDecider,
        keeper: InstanceKeeper,
        warmer: BackendWarmer,
        clock: Clock,
    ) -> None:
        self.turns = turns
        self.records = records
        self.durations = durations
        self.sharers = sharers
        self.decider = decider
        self.keeper = keeper
        self.warmer = warmer
        self.clock = clock

    async def around[T](self, request: wire.TurnWire, calls: Sequence[str], run: Callable[[], Awaitable[T]]) -> T:
        """Run the calls of these items, and end and start the turn's GPU meanwhile where that pays."""
        if not any(has_idle_period(each) for each in self.decider.fleet.backends.values()):
            return await run()
        pause = asyncio.create_task(self.pause(request, calls))
        try:
            return await run()
        finally:
            pause.cancel()
            [ended] = await asyncio.gather(pause, return_exceptions=True)
            if isinstance(ended, Exception):
                log.error("%s: its GPU is not released during its tool calls", request["response"], exc_info=ended)
            await self.durations.write()

    async def pause(self, request: wire.TurnWire, calls: Sequence[str]) -> None:
        try:
            if turn := await self.paused_turn(request, calls):
                await self.carry_out(turn, await self.decide(turn))
        except GanglionError as error:
            log.warning("%s: its GPU is not released during its tool calls: %s", request["response"], error)

    async def paused_turn(self, request: wire.TurnWire, calls: Sequence[str]) -> PausedTurn | None:
        """Return what the decision needs; None where the calls are not known to be long, or there is no such GPU."""
        known = await self.durations.read()
        if not known.tools:
            return None
        owner = wire.owner_from_wire(request)
        log = await self.turns.transcript(owner, request["response"])
        times = known.times([tool_name(each.server, each.name) for each in log.items if each.id in calls])
        name = last_backend(await self.turns.routes(owner, request["response"])) if times else ""
        if times is None or name not in self.decider.fleet.backends:
            return None
        backend = self.decider.backend(name)
        if not has_idle_period(backend) or not isinstance(backend.price, TimePrice):
            return None
        response = await self.turns.read(owner, request["response"])
        return PausedTurn(response, log.rounds, tuple(calls), times, backend, backend.price)

    async def decide(self, turn: PausedTurn) -> ToolPause:
        backend, now = turn.backend, self.clock.now()
        if backend.instances and backend.instances.limits(now).minimum:
            return ToolPause(reason="its schedule keeps it up")
        session = (await self.keeper.sessions.current(backend)).session
        if session and session.stopped_at is None and await self.is_shared(turn, session):
            return ToolPause(reason="other turns share its session")
        state, found = await self.keeper.state_of(backend), await self.keeper.leases.read(backend)
        if state.warmth.further:
            return ToolPause(reason="other turns share its session")
        ends_at = self.provider_end(backend, session)
        up = time_up(backend, state, found.lease if found else None, provider_end=ends_at, now=now)
        rules = self.decider.fleet.callers.of_turn(turn.response.owner.tenant, turn.response.options.metadata)
        gpu = GpuDuringCall(
            left_s=up.left_s,
            stays_s=up.stays_s,
            start_s=state.start_times.p50_s,
            rate=turn.price.amount / turn.price.per_s,
            time_value=rules.time_value,
        )
        return tool_pause(turn.times, gpu)

    async def is_shared(self, turn: PausedTurn, session: GpuSession) -> bool:
        """Tell whether another conversation, or a warm-up of an operator, takes part in the open session."""
        found = await self.sharers.read(turn.backend, session)
        thread = thread_of(turn.response.id)
        return found is None or any(thread_of(each.response) != thread for each in found.sharers)

    def provider_end(self, backend: Backend, session: GpuSession | None) -> float | None:
        """Return when the provider ends the GPU without requests, after an idle period that is not the rule's."""
        if session is None or session.stopped_at is not None:
            return None
        return end_by_provider(session, self.keeper.fleet.backends[backend.name])

    async def carry_out(self, turn: PausedTurn, decided: ToolPause) -> None:
        """Release the GPU, where no turn has come meanwhile, and start it again when that is due; record both."""
        backend, response = turn.backend, turn.response
        noted = PauseRecord(
            round=turn.round, calls=turn.calls, backend=backend.name, at=self.clock.now(), decided=decided
        )
        etag = await self.records.write(response.owner, response.id, noted)
        if decided.releases:
            if not await self.is_released(backend, noted):
                return
            log.info("%s is released during the tool calls of %s: %s, saves $%.6f", *words(backend, response, decided))
            noted = replace(noted, released_at=self.clock.now())
            etag = await self.records.write(response.owner, response.id, noted, etag=etag)
        if noted.starts_at is None:
            return
        await self.clock.sleep(max(0.0, noted.starts_at - self.clock.now()))
        if not (await self.turns.read(response.owner, response.id)).status.is_terminal:
            await asyncio.shield(self.warmer.start_task(self.start(turn, noted, etag)))

    async def is_released(self, backend: Backend, noted: PauseRecord) -> bool:
        """Let the GPU go; False where it is needed again since the decision."""
        states, until = self.keeper.backend_states, noted.at + noted.decided.stays_s
        if is_counted(backend):
            is_free = await states.record_stop(backend, looked_at=noted.at)
        else:
            change = partial(after_letting_go, until=until, now=self.clock.now())
            is_free = await states.update(backend, change) is not None
        if is_free:
            self.keeper.watch(backend)
        return is_free

    async def start(self, turn: PausedTurn, noted: PauseRecord, etag: str) -> None:
        """Warm the GPU up for the end of the calls. Where it is up, or another turn starts it, nothing is sent."""
        owner, response_id = turn.response.owner, turn.response.id
        if await self.warmer.warm_up(turn.backend, response_id, owner=owner, wait=False):
            started = replace(noted, started_at=self.clock.now())
            await self.records.write(owner, response_id, started, etag=etag)


def has_idle_period(backend: Backend) -> bool:
    """Tell whether idle time of a backend is paid for until it ends."""
    return backend.cold_start.scales_to_zero and isinstance(backend.price, TimePrice)


def words(backend: Backend, response: Response, decided: ToolPause) -> tuple[Any, ...]:
    return backend.name, response.id, decided.reason, decided.saved


def last_backend(routes: Sequence[Any]) -> str:
    """Return the backend of the last route that named one; empty where none did."""
    named = [each["routed"].get("backend") for each in sorted(routes, key=lambda route: route["number"])]
    return next((name for name in reversed(named) if name), "")

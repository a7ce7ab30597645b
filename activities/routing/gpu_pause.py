"""How is a GPU whose instances the product counts ended during a long call, and started for its end?

Both happen beside the call, in its step. If the process dies, the lease still ends the instance; the repeated step
starts it, and so does the next route of the turn.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from activities.routing.decision import RouteDecider
from activities.routing.instance_keeper import InstanceKeeper
from activities.routing.warm_up import BackendWarmer
from clients.clock import Clock
from domain import wire
from domain.errors import GanglionError
from domain.fleet.catalog import Backend
from domain.fleet.instances.lease import due_at, is_counted
from domain.ids import thread_of
from domain.money.prices import TimePrice
from domain.tools.pauses.durations import CallTimes, tool_name
from domain.tools.pauses.tool_pause import GpuDuringCall, ToolPause, tool_pause
from domain.turns.response import Response
from state.money.session_sharers import SharerReader
from state.tools.durations import LearnedToolDurations
from state.turns.responses import TurnStore

log = logging.getLogger("ganglion.activities")


class PausedTurn(NamedTuple):
    """A turn whose calls run, when they end, and the backend that it used last."""

    response: Response
    times: CallTimes
    backend: Backend
    price: TimePrice


class GpuPauses:
    """Decides when a round's calls begin. A fleet without counted instances reads nothing for it."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        durations: LearnedToolDurations,
        sharers: SharerReader,
        decider: RouteDecider,
        keeper: InstanceKeeper,
        warmer: BackendWarmer,
        clock: Clock,
    ) -> None:
        self.turns = turns
        self.durations = durations
        self.sharers = sharers
        self.decider = decider
        self.keeper = keeper
        self.warmer = warmer
        self.clock = clock

    async def around[T](self, request: wire.TurnWire, calls: Sequence[str], run: Callable[[], Awaitable[T]]) -> T:
        """Run the calls of these items, and end and start the turn's GPU meanwhile where that pays."""
        if not any(is_counted(each) for each in self.keeper.kept):
            return await run()
        pause = asyncio.create_task(self.pause(request, calls))
        try:
            return await run()
        finally:
            pause.cancel()
            [ended] = await asyncio.gather(pause, return_exceptions=True)
            if isinstance(ended, Exception):
                log.error("the GPU of %s is left to its idle period", request["response"], exc_info=ended)
            await self.durations.write()

    async def pause(self, request: wire.TurnWire, calls: Sequence[str]) -> None:
        try:
            if turn := await self.paused_turn(request, calls):
                await self.carry_out(turn, await self.decide(turn))
        except GanglionError as error:
            log.warning("the GPU of %s is left to its idle period: %s", request["response"], error)

    async def paused_turn(self, request: wire.TurnWire, calls: Sequence[str]) -> PausedTurn | None:
        """Return what the decision needs; None where the calls are not known to be long, or there is no such GPU."""
        known = await self.durations.read()
        if not known.tools:
            return None
        owner = wire.owner_from_wire(request)
        items = (await self.turns.transcript(owner, request["response"])).items
        times = known.times([tool_name(each.server, each.name) for each in items if each.id in calls])
        name = last_backend(await self.turns.routes(owner, request["response"])) if times else ""
        if times is None or name not in self.decider.fleet.backends:
            return None
        backend = self.decider.backend(name)
        if not is_counted(backend) or not isinstance(backend.price, TimePrice):
            return None
        return PausedTurn(await self.turns.read(owner, request["response"]), times, backend, backend.price)

    async def decide(self, turn: PausedTurn) -> ToolPause:
        backend, now = turn.backend, self.clock.now()
        state, found = await self.keeper.state_of(backend), await self.keeper.leases.read(backend)
        if backend.instances and backend.instances.limits(now).minimum:
            return ToolPause(reason="its schedule keeps it up")
        if state.warmth.further or await self.is_shared(turn):
            return ToolPause(reason="other turns share its session")
        is_up = found is not None and state.is_up(now)
        rules = self.decider.fleet.callers.of_turn(turn.response.owner.tenant, turn.response.options.metadata)
        gpu = GpuDuringCall(
            left_s=max(0.0, due_at(found.lease, backend, state, now) - now) if found and is_up else 0.0,
            start_s=state.start_times.p50_s,
            rate=turn.price.amount / turn.price.per_s,
            time_value=rules.time_value,
        )
        return tool_pause(turn.times, gpu)

    async def is_shared(self, turn: PausedTurn) -> bool:
        """Tell whether another conversation, or a warm-up of an operator, takes part in the open session."""
        session = (await self.keeper.sessions.current(turn.backend)).session
        if session is None or session.stopped_at is not None:
            return False
        found = await self.sharers.read(turn.backend, session)
        thread = thread_of(turn.response.id)
        return found is None or any(thread_of(each.response) != thread for each in found.sharers)

    async def carry_out(self, turn: PausedTurn, decided: ToolPause) -> None:
        """End the GPU, where no turn has come meanwhile, and start it again when that is due."""
        began, backend, response = self.clock.now(), turn.backend, turn.response
        if decided.releases:
            if not await self.keeper.backend_states.record_stop(backend, looked_at=began):
                return
            self.keeper.watch(backend)
            log.info("%s is ended during the calls of %s: %s, saved $%.6f", *words(backend, response, decided))
        if decided.starts_in_s is None:
            return
        await self.clock.sleep(max(0.0, decided.starts_in_s - (self.clock.now() - began)))
        if not (await self.turns.read(response.owner, response.id)).status.is_terminal:
            start = self.warmer.warm_up(backend, response.id, owner=response.owner, wait=False)
            await asyncio.shield(self.warmer.start_task(start))


def words(backend: Backend, response: Response, decided: ToolPause) -> tuple[Any, ...]:
    return backend.name, response.id, decided.reason, decided.saved


def last_backend(routes: Sequence[Any]) -> str:
    """Return the backend of the last route that named one; empty where none did."""
    named = [each["routed"].get("backend") for each in sorted(routes, key=lambda route: route["number"])]
    return next((name for name in reversed(named) if name), "")

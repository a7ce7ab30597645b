"""When has a start ended?

Where a turn waits for it, the first one in line looks. Where none does, the process that sent the warm-up probes the
backend at the learned quantiles of a start. If that process dies, the minute timer of another one continues: it probes
every start that no process has looked at for a while.
"""

import asyncio
from collections.abc import Mapping

from clients.backends.port import BackendClient, BackendError
from clients.clock import Clock
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.cold_start import PROBE_HOLD_S, UNSEEN_S, probe_times_s, sight_s
from domain.fleet.failure_classes import FailureClass, diagnose
from state.fleet.backend_state import BackendStates
from state.money.gpu_sessions import GpuSessions


class StartObserver:
    """Probes backends that are starting until they are up or their warm-up counts as lost."""

    def __init__(
        self,
        *,
        backend_states: BackendStates,
        sessions: GpuSessions,
        clients: Mapping[str, BackendClient],
        fleet: Fleet,
        clock: Clock,
    ) -> None:
        self.backend_states = backend_states
        self.sessions = sessions
        self.clients = clients
        self.fleet = fleet
        self.clock = clock

    async def watch(self, backend: Backend, by: str) -> None:
        """Probe a backend at the learned quantiles, as long as the warm-up of `by` is under way."""
        state = await self.state_of(backend)
        for at_s in probe_times_s(state.start_times.samples, p50_s=state.start_times.p50_s):
            start = state.warmth.start_by(by, self.clock.now())
            if start is None:
                return
            await self.clock.sleep(max(0.0, start.since + at_s - self.clock.now()))
            state = await self.state_of(backend)
            if state.warmth.start_by(by, self.clock.now()):
                await self.probe(backend, by)
                state = await self.state_of(backend)

    async def probe_unseen(self) -> None:
        """Probe the backends whose start is due, or may have ended unseen, and was not looked at for a while."""
        scaling = {name: each for name, each in self.fleet.backends.items() if each.cold_start.scales_to_zero}
        states = await self.backend_states.read(scaling)
        starts = {name: state.warmth.warm_up for name, state in states.items() if self.is_due(scaling[name], state)}
        due = {name: start.by for name, start in starts.items() if start}
        await asyncio.gather(*(self.probe(scaling[name], by) for name, by in due.items()))

    def is_due(self, backend: Backend, state: BackendState) -> bool:
        now, warm_up = self.clock.now(), state.warmth.warm_up
        if warm_up is None or warm_up.held_until is not None or not state.warmth.is_starting(now):
            return False
        unseen_s = now - warm_up.cold_at
        must_look = now >= warm_up.since + state.start_times.p50_s or unseen_s >= sight_s(backend.cold_start.idle_s)
        return must_look and unseen_s >= UNSEEN_S

    async def probe(self, backend: Backend, by: str, *, hold_s: float = PROBE_HOLD_S) -> bool:
        """Hold one request for a while; record and return whether the backend is up."""
        sent_at = self.clock.now()
        try:
            async with asyncio.timeout(hold_s):
                await self.clients[backend.name].authenticate()
                await self.clients[backend.name].probe()
        except TimeoutError:
            await self.backend_states.record_warm_up_hold(backend, by, held_until=None)
        except BackendError as error:
            diagnosis = diagnose(error.failure, backend.signatures, now=self.clock.now())
            if diagnosis.failure_class is FailureClass.COLD:
                await self.backend_states.record_warm_up_hold(backend, by, held_until=None)
        else:
            await self.record_ready(backend)
            await self.backend_states.record_opening(backend, asked_at=sent_at)
            return True
        return False

    async def record_ready(self, backend: Backend) -> None:
        try:
            await self.sessions.record_ready(backend, self.clock.now())
        except Retryable:
            return

    async def state_of(self, backend: Backend) -> BackendState:
        return (await self.backend_states.read({backend.name: backend}))[backend.name]

"""How many tokens does a prompt have, by a backend that is up anyway? Counting never wakes a backend."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from clients.backends.port import BackendCall, BackendError, PromptCounter
from clients.clock import Clock
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from state.fleet.backend_state import BackendStates
from state.money.gpu_sessions import GpuSessions

COUNT_S: Final = 0.05
"""How long a request waits for a count, in seconds."""


class BackendCounts:
    """Asks backends that are believed to be up; `counters` are those of the backends that can count."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        counters: Mapping[str, PromptCounter],
        backend_states: BackendStates,
        sessions: GpuSessions,
        clock: Clock,
        within_s: float = COUNT_S,
    ) -> None:
        self.able = {name: backend for name, backend in fleet.backends.items() if name in counters}
        self.counters = counters
        self.backend_states = backend_states
        self.sessions = sessions
        self.clock = clock
        self.within_s = within_s

    async def count(self, model: str, call: BackendCall) -> int | None:
        """Return the tokens of a prompt; None where no backend of the model is up, or none counts in time."""
        able = {name: backend for name, backend in self.able.items() if backend.model == model}
        if not able:
            return None
        states = await self.backend_states.read(able)
        for name, backend in able.items():
            if is_surely_up(backend, states[name], self.clock.now()):
                return await self.ask(backend, call)
        return None

    async def ask(self, backend: Backend, call: BackendCall) -> int | None:
        sent_at, tokens = self.clock.now(), None
        try:
            async with asyncio.timeout(self.within_s):
                tokens = await self.counters[backend.name].count(call)
        except BackendError:
            return None
        except TimeoutError:
            await self.record(backend)
        else:
            await self.record(backend)
            if backend.cold_start.scales_to_zero:
                await self.backend_states.record_opening(backend, asked_at=sent_at)
        return tokens

    async def record(self, backend: Backend) -> None:
        """Record a request of the current GPU session: it postpones the end of the machine."""
        with suppress(Retryable):
            await self.sessions.record_ready(backend, self.clock.now())


def is_surely_up(backend: Backend, state: BackendState, now: float) -> bool:
    """Return whether a request finds a machine that runs: one that works, or is in the first half of its idle time.

    Later it may have stopped already, and the request would start it.
    """
    if state.is_failing:
        return False
    if not backend.cold_start.scales_to_zero or state.load.running(now):
        return True
    warm_until = state.warmth.warm_until
    return warm_until is not None and warm_until - now >= backend.cold_start.idle_s / 2

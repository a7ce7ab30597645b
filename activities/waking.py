"""How is a sleeping backend woken, once, whoever wants it?"""

import asyncio
from collections.abc import Mapping

from clients.backends import BackendClient, BackendError
from clients.beliefs import Beliefs
from clients.clock import Clock
from domain.fleet import Backend
from domain.postures import Posture, diagnose

BEAT_S = 5.0
BEATS = 3
"""Who holds a wake on says so this often; one that has not for so many times is taken for dead."""

STILL_STARTING = frozenset({Posture.COLD, Posture.THROTTLED, Posture.INDETERMINATE})


class Waking:
    """Sends the request that wakes a backend, holds it for a while and drops it.

    Where a dropped request starts nothing, it is held on in this process, beside the activities: no activity lasts as
    long as a start. What this process held when it dies, the next turn that looks wakes anew.
    """

    def __init__(self, *, beliefs: Beliefs, clients: Mapping[str, BackendClient], clock: Clock) -> None:
        self.beliefs = beliefs
        self.clients = clients
        self.clock = clock
        self.holding: set[asyncio.Task[None]] = set()

    async def wake(self, backend: Backend, by: str, *, wait: bool) -> bool:
        """Wake it; False where it is up or somebody else is at it. `wait` returns when the request was held."""
        woken = await self.beliefs.wake(backend, by)
        if woken is None or woken.waking is None:
            return False
        holds_on = woken.must_hold(backend)
        until = woken.waking.until if holds_on else self.clock.now() + backend.cold.wake_hold_s
        task = asyncio.create_task(self.hold(backend, by, until=until, holds_on=holds_on))
        self.holding.add(task)
        task.add_done_callback(self.holding.discard)
        if wait:
            await asyncio.wait({task}, timeout=backend.cold.wake_hold_s)
        return True

    async def hold(self, backend: Backend, by: str, *, until: float, holds_on: bool) -> None:
        """Hold the request until the backend is up, or `until` (seconds since the epoch)."""
        request = asyncio.create_task(self.knock(backend, by))
        try:
            while not request.done() and (left_s := until - self.clock.now()) > 0:
                held_until = self.clock.now() + BEATS * BEAT_S if holds_on else None
                await self.beliefs.held(backend, by, held_until=held_until)
                await asyncio.wait({request}, timeout=min(left_s, BEAT_S))
        finally:
            dropped = request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        if dropped:
            await self.beliefs.held(backend, by, held_until=None)

    async def knock(self, backend: Backend, by: str) -> None:
        asked_at = self.clock.now()
        try:
            await self.clients[backend.name].knock()
        except BackendError as error:
            diagnosis = diagnose(error.failure, backend.signatures, now=self.clock.now())
            if diagnosis.posture in STILL_STARTING:
                await self.beliefs.held(backend, by, held_until=None)
            else:
                await self.beliefs.failed(backend, diagnosis, by, asked_at=asked_at)
            return
        await self.beliefs.opened(backend, asked_at=asked_at)

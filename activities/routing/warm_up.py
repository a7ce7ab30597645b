"""How is a sleeping backend woken, once, whoever wants it?"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from clients.backends.port import BackendClient, BackendError
from clients.clock import Clock
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import AT_ONCE_S, SILENCE_S
from domain.fleet.failure_classes import CREDENTIAL_KINDS, Diagnosis, Failure, FailureClass, diagnose
from domain.identity.owners import Owner
from state.fleet.backend_state import BackendStates
from state.money.gpu_sessions import GpuSessions
from telemetry import WarmUpOutcome, count_warm_up

log = logging.getLogger("ganglion.activities")

HEARTBEAT_S = 5.0
"""Who holds a wake on says so this often."""

AUTHENTICATION_WAIT_S = 10.0
"""A turn waits so long at most for what a wake is proven with; it sees later how that went."""

NOTHING_STARTED = frozenset({WarmUpOutcome.REFUSED, WarmUpOutcome.UNPROVEN})


class BackendWarmer:
    """Sends the request that wakes a backend, holds it for a while and drops it.

    Where a dropped request starts nothing, it is held on in this process, beside the activities: no activity lasts as
    long as a start. What this process held when it dies, the next turn that looks wakes anew.
    """

    def __init__(
        self,
        *,
        backend_states: BackendStates,
        sessions: GpuSessions,
        clients: Mapping[str, BackendClient],
        clock: Clock,
    ) -> None:
        self.backend_states = backend_states
        self.sessions = sessions
        self.clients = clients
        self.clock = clock
        self.background_tasks: set[asyncio.Task[Any]] = set()

    async def warm_up(self, backend: Backend, by: str, *, owner: Owner, wait: bool) -> bool:
        """Wake it; False where it is up or somebody else is at it. `wait` returns when the request was held.

        `by` is the response of an owner who pays for what nobody uses of it; where no budget covers that, nothing is
        sent.
        """
        woken = await self.backend_states.claim_warm_up(backend, by)
        if woken is None or woken.warm_up is None:
            return False
        held_until = woken.warm_up.until if woken.must_hold_request(backend) else None
        proof = self.start_task(self.authenticate(backend, by))
        paid = self.start_task(self.charge(backend, by, owner, woken, proof))
        hold = self.start_task(self.hold_request(backend, by, owner, paid, held_until=held_until))
        if wait:
            await asyncio.wait({proof}, timeout=AUTHENTICATION_WAIT_S)
            await asyncio.wait({hold}, timeout=backend.cold_start.warm_up_hold_s)
        return True

    def start_task[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self.background_tasks.add(task)
        task.add_done_callback(self.background_tasks.discard)
        return task

    async def authenticate(self, backend: Backend, by: str) -> bool:
        """Tell whether a request can prove who we are: what hangs there is no start."""
        try:
            await self.clients[backend.name].authenticate()
        except BackendError as error:
            await self.record_failed_probe(backend, by, error.failure)
            return False
        return True

    async def charge(
        self, backend: Backend, by: str, owner: Owner, belief: BackendState, proof: asyncio.Task[bool]
    ) -> bool:
        """Tell whether the wake can prove who we are, and who wakes is charged for it."""
        if not await proof:
            return False
        cold_s, worst_s = belief.cold_p50_s, belief.cold_p99_s
        try:
            if await self.sessions.warm_up(backend, owner, by, cold_s=cold_s, worst_s=worst_s):
                return True
        except Retryable:
            with suppress(Retryable):
                await self.sessions.cancel_warm_up(backend, owner, by)
        count_warm_up(backend, WarmUpOutcome.UNCOVERED)
        await self.backend_states.release_warm_up(backend, by)
        return False

    async def hold_request(
        self, backend: Backend, by: str, owner: Owner, paid: asyncio.Task[bool], *, held_until: float | None
    ) -> None:
        """Hold the request until the backend is up; drop it in time, or (seconds since the epoch) at `held_until`."""
        decided_at = self.clock.now()
        if not await paid:
            return
        if self.clock.now() - decided_at > AT_ONCE_S:
            await self.backend_states.record_warm_up_sent(backend, by)
        until = held_until or self.clock.now() + backend.cold_start.warm_up_hold_s
        request = asyncio.create_task(self.probe(backend, by, owner))
        try:
            while not request.done() and (left_s := until - self.clock.now()) > 0:
                await asyncio.wait({request}, timeout=min(left_s, HEARTBEAT_S))
                if held_until:
                    await self.backend_states.record_warm_up_hold(backend, by, held_until=self.clock.now() + SILENCE_S)
        finally:
            dropped = request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        if dropped:
            count_warm_up(backend, WarmUpOutcome.HELD)
            await self.backend_states.record_warm_up_hold(backend, by, held_until=None)

    async def probe(self, backend: Backend, by: str, owner: Owner) -> None:
        asked_at = self.clock.now()
        try:
            await self.clients[backend.name].probe()
        except BackendError as error:
            if await self.record_failed_probe(backend, by, error.failure) in NOTHING_STARTED:
                with suppress(Retryable):
                    await self.sessions.cancel_warm_up(backend, owner, by)
            return
        with suppress(Retryable):
            await self.sessions.record_ready(backend, self.clock.now())
        await self.backend_states.record_opening(backend, asked_at=asked_at)
        count_warm_up(backend, WarmUpOutcome.UP)

    async def record_failed_probe(self, backend: Backend, by: str, failure: Failure) -> WarmUpOutcome:
        """Learn from a request that was not let in: it is starting, unless it refused or was never asked."""
        diagnosis = diagnose(failure, backend.signatures, now=self.clock.now())
        outcome = warm_up_outcome(failure, diagnosis)
        count_warm_up(backend, outcome)
        if outcome in NOTHING_STARTED:
            log.warning("%s could not be woken: %s", backend.name, diagnosis.reason)
            await self.backend_states.record_warm_up_failure(backend, diagnosis, by)
        else:
            await self.backend_states.record_warm_up_hold(backend, by, held_until=None)
        return outcome


def warm_up_outcome(failure: Failure, diagnosis: Diagnosis) -> WarmUpOutcome:
    if failure.kind in CREDENTIAL_KINDS:
        return WarmUpOutcome.UNPROVEN
    return WarmUpOutcome.REFUSED if diagnosis.failure_class is FailureClass.BROKEN else WarmUpOutcome.STARTING

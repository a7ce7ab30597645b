"""How is a cold backend warmed up once, however many turns need it?"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

from activities.routing.further_instances import FurtherStart
from activities.routing.instance_keeper import InstanceKeeper
from activities.routing.start_observer import StartObserver
from clients.backends.port import BackendClient, BackendError
from clients.clock import Clock
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import AT_ONCE_S, SILENCE_S
from domain.fleet.failure_classes import CREDENTIAL_KINDS, Diagnosis, Failure, FailureClass, diagnose
from domain.fleet.instances.count_failures import changed_nothing, count_diagnosis
from domain.fleet.instances.further import GrowthReason
from domain.fleet.instances.inferred import grows_itself
from domain.fleet.instances.scaling import Scaling
from domain.identity.owners import Owner
from domain.money.sessions.transitions import NO_ATTEMPT, FollowingAttempt
from state.fleet.backend_state import BackendStates
from state.money.gpu_sessions import GpuSessions
from telemetry.metrics import WarmUpOutcome, count_warm_up

log = logging.getLogger("ganglion.activities")

HEARTBEAT_S = 5.0
"""How often a process that holds a warm-up request records that it still does."""

AUTHENTICATION_WAIT_S = 10.0
"""How long a turn waits for the authentication of a warm-up; its next route sees how that ended."""

PROBE_REFUSED = frozenset({FailureClass.BROKEN, FailureClass.CLIENT, FailureClass.UNFIT})
"""The classes of an answer that starts nothing."""

NOTHING_STARTED = frozenset({WarmUpOutcome.REFUSED, WarmUpOutcome.UNPROVEN})


class BackendWarmer:
    """Sends the probe that starts a backend, holds it for a while and drops it.

    Where a dropped request does not start the backend, a background task keeps holding it, since no activity may run as
    long as a start takes. If the process dies, the next turn that is routed warms the backend up again.
    """

    def __init__(
        self,
        *,
        backend_states: BackendStates,
        sessions: GpuSessions,
        clients: Mapping[str, BackendClient],
        clock: Clock,
        observer: StartObserver,
        keeper: InstanceKeeper,
    ) -> None:
        self.backend_states = backend_states
        self.sessions = sessions
        self.clients = clients
        self.clock = clock
        self.observer = observer
        self.keeper = keeper
        self.background_tasks: set[asyncio.Task[Any]] = set()

    async def warm_up(
        self,
        backend: Backend,
        response_id: str,
        *,
        owner: Owner,
        wait: bool,
        following: FollowingAttempt = NO_ATTEMPT,
    ) -> bool:
        """Warm the backend up; False where it is warm, or another turn is warming it up.

        With `wait` this returns when the request was held. The owner of the response pays for the time that no turn
        uses; where no budget covers that and the attempt that follows, nothing is sent.
        """
        state = await self.backend_states.claim_warm_up(backend, response_id)
        if state is None or state.warmth.warm_up is None:
            return False
        held_until = state.warmth.warm_up.until if state.warmth.must_hold_request(backend) else None
        authentication = self.start_task(self.authenticate(backend, response_id))
        charge = self.start_task(self.charge(backend, response_id, owner, state, authentication, following=following))
        hold = self.start_task(
            self.hold_request(backend, response_id, owner, charge, held_until=held_until, is_watched=not wait)
        )
        if wait:
            await asyncio.wait({authentication}, timeout=AUTHENTICATION_WAIT_S)
            await asyncio.wait({hold}, timeout=backend.cold_start.warm_up_hold_s)
        return True

    async def warm_up_further(
        self,
        backend: Backend,
        response_id: str,
        *,
        owner: Owner,
        following: FollowingAttempt = NO_ATTEMPT,
        more: int = 1,
        why: GrowthReason | None = None,
    ) -> bool:
        """Start `more` instances of a backend that is up; False where another turn starts some, or no more may run.

        This returns before the count is set. The owner of the response pays for the time that no turn uses. A provider
        that starts instances itself does so for requests, which may be sent from now on, and their turns pay.
        """
        if grows_itself(backend):
            return await self.keeper.further.states.claim(backend, response_id, more, why=why) is not None
        asked = await self.keeper.further.claim(backend, response_id, owner, following, more=more, why=why)
        if asked is None:
            return False
        self.start_task(self.start_further(asked))
        return True

    async def start_further(self, asked: FurtherStart) -> None:
        if not await self.keeper.further.start(asked):
            count_warm_up(asked.backend, WarmUpOutcome.REFUSED)
        self.keeper.watch(asked.backend)

    def start_task[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self.background_tasks.add(task)
        task.add_done_callback(self.background_tasks.discard)
        return task

    async def authenticate(self, backend: Backend, response_id: str) -> bool:
        """Return whether a request can authenticate. A slow authentication is not part of the start."""
        try:
            await self.clients[backend.name].authenticate()
        except BackendError as error:
            await self.record_failed_probe(backend, response_id, error.failure)
            return False
        return True

    async def charge(
        self,
        backend: Backend,
        response_id: str,
        owner: Owner,
        state: BackendState,
        authentication: asyncio.Task[bool],
        *,
        following: FollowingAttempt,
    ) -> bool:
        """Charge the owner for the warm-up; False where it can't authenticate or no budget covers it."""
        if not await authentication:
            return False
        cold_s, worst_s = state.start_times.p50_s, state.start_times.p99_s
        try:
            await self.keeper.hold(backend, response_id)
            if await self.sessions.warm_up(
                backend, owner, response_id, cold_s=cold_s, worst_s=worst_s, following=following
            ):
                return True
        except Retryable:
            with suppress(Retryable):
                await self.sessions.cancel_warm_up(backend, owner, response_id)
        with suppress(Retryable):
            await self.keeper.let_go(backend, response_id)
        count_warm_up(backend, WarmUpOutcome.UNCOVERED)
        await self.backend_states.release_warm_up(backend, response_id)
        return False

    async def hold_request(
        self,
        backend: Backend,
        response_id: str,
        owner: Owner,
        charge: asyncio.Task[bool],
        *,
        held_until: float | None,
        is_watched: bool,
    ) -> None:
        """Hold the request until the backend answers it, and drop it after a while.

        `held_until` (seconds since the epoch) is set where the request must be held for the backend to start. With
        `is_watched` no turn waits for the start, and it is watched here.
        """
        decided_at = self.clock.now()
        if not await charge or not await self.is_held(backend, response_id, owner):
            return
        if self.clock.now() - decided_at > AT_ONCE_S:
            await self.backend_states.record_warm_up_sent(backend, response_id)
        until = held_until or self.clock.now() + backend.cold_start.warm_up_hold_s
        request = asyncio.create_task(self.probe(backend, response_id, owner))
        try:
            while not request.done() and (left_s := until - self.clock.now()) > 0:
                await asyncio.wait({request}, timeout=min(left_s, HEARTBEAT_S))
                if held_until:
                    silent_at = self.clock.now() + SILENCE_S
                    await self.backend_states.record_warm_up_hold(backend, response_id, held_until=silent_at)
        finally:
            is_dropped = request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        if is_dropped:
            count_warm_up(backend, WarmUpOutcome.HELD)
            await self.backend_states.record_warm_up_hold(backend, response_id, held_until=None)
            if is_watched:
                self.start_task(self.observer.watch(backend, response_id))

    async def is_held(self, backend: Backend, response_id: str, owner: Owner) -> bool:
        """Start the instance where the product holds it; False where that failed.

        The sender pays for a start that may have happened all the same, until it is ended.
        """
        if backend.scaling is Scaling.PROVIDER:
            return True
        try:
            await self.keeper.start(backend, response_id)
        except BackendError as error:
            log.warning("%s could not be started: %s", backend.name, error)
            count_warm_up(backend, WarmUpOutcome.REFUSED)
            await self.backend_states.record_warm_up_failure(backend, count_diagnosis(error.failure), response_id)
            if changed_nothing(error.failure):
                with suppress(Retryable):
                    await self.sessions.cancel_warm_up(backend, owner, response_id)
            return False
        return True

    async def probe(self, backend: Backend, response_id: str, owner: Owner) -> None:
        sent_at = self.clock.now()
        try:
            await self.clients[backend.name].probe()
        except BackendError as error:
            if await self.record_failed_probe(backend, response_id, error.failure) in NOTHING_STARTED:
                with suppress(Retryable):
                    await self.sessions.cancel_warm_up(backend, owner, response_id)
            return
        with suppress(Retryable):
            await self.sessions.record_ready(backend, self.clock.now())
        await self.backend_states.record_opening(backend, asked_at=sent_at)
        count_warm_up(backend, WarmUpOutcome.UP)

    async def record_failed_probe(self, backend: Backend, response_id: str, failure: Failure) -> WarmUpOutcome:
        """Record that the backend is starting, or that the warm-up failed: the request was rejected or not sent."""
        diagnosis = diagnose(failure, backend.signatures, now=self.clock.now())
        outcome = warm_up_outcome(failure, diagnosis)
        count_warm_up(backend, outcome)
        if outcome in NOTHING_STARTED:
            log.warning("%s could not be warmed up: %s", backend.name, diagnosis.reason)
            await self.backend_states.record_warm_up_failure(backend, diagnosis, response_id)
        else:
            await self.backend_states.record_warm_up_hold(backend, response_id, held_until=None)
        return outcome


def warm_up_outcome(failure: Failure, diagnosis: Diagnosis) -> WarmUpOutcome:
    if failure.kind in CREDENTIAL_KINDS:
        return WarmUpOutcome.UNPROVEN
    return WarmUpOutcome.REFUSED if diagnosis.failure_class in PROBE_REFUSED else WarmUpOutcome.STARTING

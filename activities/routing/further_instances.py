"""How does a backend whose instances the product counts get one more, and lose the last one?

The state says which instances are wanted, and the lease how many may run. Both are written before the count is raised,
and the lease after it was lowered. So whoever comes after a crash lowers the count to what is wanted.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from copy import replace

from msgspec import Struct

from activities.routing.instance_counts import InstanceCounts
from clients.backends.port import BackendError
from clients.clock import Clock
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import StartTimes
from domain.fleet.instances.count_failures import changed_nothing
from domain.fleet.instances.further import GrowthReason
from domain.fleet.instances.lease import LOOK_S, LeasePhase, with_target
from domain.fleet.instances.numbered import instance
from domain.fleet.instances.several import last_due_at, wanted_count
from domain.identity.owners import Owner
from domain.money.sessions.transitions import NO_ATTEMPT, FollowingAttempt
from state.fleet.count_leases import SILENT_S, CountLeases, StoredLease
from state.fleet.further_states import FurtherStates
from state.money.gpu_sessions import GpuSessions

log = logging.getLogger("ganglion.activities")


class FurtherStart(Struct, frozen=True, kw_only=True):
    """The instances that the turn `by` of an owner starts: the last `more` of `count`."""

    backend: Backend
    count: int
    more: int
    times: StartTimes
    by: str
    owner: Owner
    following: FollowingAttempt

    @property
    def ones(self) -> Sequence[Backend]:
        """The backend as each of these instances alone."""
        return [instance(self.backend, number) for number in range(self.count - self.more, self.count)]

    def first(self, more: int) -> "FurtherStart":
        """Return the start of the first ones alone."""
        return replace(self, count=self.count - self.more + more, more=more)


class FurtherInstances:
    """Starts and ends instances beside the first one, which `InstanceKeeper` starts and ends."""

    def __init__(
        self,
        *,
        states: FurtherStates,
        sessions: GpuSessions,
        leases: CountLeases,
        counts: InstanceCounts,
        clock: Clock,
    ) -> None:
        self.states = states
        self.sessions = sessions
        self.leases = leases
        self.counts = counts
        self.clock = clock

    async def claim(
        self,
        backend: Backend,
        by: str,
        owner: Owner,
        following: FollowingAttempt = NO_ATTEMPT,
        *,
        more: int = 1,
        why: GrowthReason | None = None,
    ) -> FurtherStart | None:
        """Reserve the start of `more` instances for the turn `by`, or of fewer; None where none may start now."""
        claimed = await self.states.claim(backend, by, more, why=why)
        if claimed is None:
            return None
        return FurtherStart(
            backend=backend,
            count=wanted_count(claimed),
            more=sum(each.by == by and not each.is_set for each in claimed.warmth.further),
            times=claimed.start_times,
            by=by,
            owner=owner,
            following=following,
        )

    async def start(self, claimed: FurtherStart) -> bool:
        """Start the instances that budgets cover, each with a session that its owner is charged for first.

        Their count is set in one call. False where none was started.
        """
        asked = claimed.first(await self.charged(claimed))
        if asked.more < claimed.more:
            await self.states.give_up(asked.backend, asked.by, kept=asked.more)
        if not asked.more:
            return False
        try:
            found = await self.counts.set_to(asked.backend, asked.count, asked.by)
        except BackendError as error:
            await self.note_failed_start(asked, error)
            return False
        state = await self.states.record_count(asked.backend, asked.by)
        if state and all(each.by != asked.by for each in state.warmth.further):
            log.warning(
                "%s: instances up to %d started after they were needed, and are ended", asked.backend.name, asked.count
            )
            await self.counts.renew_lease(asked.backend, asked.by, asked.count)
        await self.counts.keep_at(asked.backend, asked.count, asked.by)
        for one in asked.ones:
            with suppress(Retryable):
                await self.sessions.record_begun(one, found.changed_at)
        return True

    async def charged(self, asked: FurtherStart) -> int:
        """Charge the owner, then let the lease have the instances; return how many of the first ones that was for."""
        covered = 0
        try:
            for one in asked.ones:
                if not await self.is_covered(asked, one):
                    break
                covered += 1
            if not covered or await self.raise_target(asked.backend, asked.first(covered).count):
                return covered
        except Retryable:
            pass
        await self.cancel(asked)
        return 0

    async def is_covered(self, asked: FurtherStart, one: Backend) -> bool:
        cold_s, worst_s = asked.times.p50_s, asked.times.p99_s
        return await self.sessions.warm_up(
            one, asked.owner, asked.by, cold_s=cold_s, worst_s=worst_s, following=asked.following
        )

    async def cancel(self, asked: FurtherStart) -> None:
        for one in asked.ones:
            with suppress(Retryable):
                await self.sessions.cancel_warm_up(one, asked.owner, asked.by)

    async def raise_target(self, backend: Backend, count: int) -> bool:
        """Let the lease say that so many instances may run; False where they are about to be ended.

        It is written even if it says so already: whoever has read it to end an instance has to look again.
        """
        found = await self.leases.read(backend)
        if found is None or found.lease.phase is not LeasePhase.RUNNING:
            return False
        return await self.leases.replace(backend, found, with_target(found.lease, count))

    async def note_failed_start(self, asked: FurtherStart, error: BackendError) -> None:
        """Charge nothing for a start that did not happen; one that may have happened is ended and paid.

        The claim is given up. Where its lease lets more instances run than are wanted then, the count is lowered.
        """
        log.warning("%s: instances up to %d could not be started: %s", asked.backend.name, asked.count, error)
        if changed_nothing(error.failure):
            await self.cancel(asked)
        else:
            await self.counts.renew_lease(asked.backend, asked.by, asked.count)
        await self.states.record_refusal(asked.backend, asked.by)

    async def look(self, backend: Backend, found: StoredLease, state: BackendState) -> float:
        """End the last further instance where it is due; return when to look again, in seconds since the epoch."""
        now = self.clock.now()
        due = last_due_at(found.lease, backend, state, now)
        if due <= now:
            ended = await self.states.record_end(backend, found.lease)
            if ended is None:
                return now + LOOK_S
            due, state = now, ended
        return due if wanted_count(state) >= found.lease.target else await self.shrink(backend, found, state)

    async def shrink(self, backend: Backend, found: StoredLease, state: BackendState) -> float:
        """Lower the count to what is wanted, then record which sessions have stopped, then lower the lease."""
        now, count = self.clock.now(), wanted_count(state)
        if now < (paused_until := self.counts.paused_until.get(backend.name, 0.0)):
            return paused_until
        if not found.is_free(self.leases.process, now):
            return found.written_at + SILENT_S
        if not await self.leases.replace(backend, found, replace(found.lease, phase=LeasePhase.SHRINKING)):
            return now
        again_at = await self.counts.lower_to(backend, count)
        return await self.note_end(backend, count) if again_at is None else again_at

    async def note_end(self, backend: Backend, count: int) -> float:
        now, found = self.clock.now(), await self.leases.read(backend)
        if found is None or found.process != self.leases.process or found.lease.phase is not LeasePhase.SHRINKING:
            return now + LOOK_S
        for number in range(count, found.lease.target):
            await self.sessions.record_stopped(instance(backend, number), now)
        after = replace(found.lease, phase=LeasePhase.RUNNING, target=count, tries=0)
        await self.leases.replace(backend, found, after)
        return self.clock.now()

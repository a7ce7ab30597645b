"""How does the product end the instances that it holds, whichever process dies?

Before a count is set above 0 a lease is stored. Each lease is watched by the process that wrote it, which ends the
instance to the second. A timer of its own adopts the leases of processes that died.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from copy import replace
from itertools import count
from typing import Any, Final

from activities.routing.further_instances import FurtherInstances
from activities.routing.instance_counts import InstanceCounts
from clients.backends.port import BackendClient, BackendError
from clients.clock import Clock
from clients.instances.port import InstanceCounter
from domain.errors import GanglionError, Retryable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.count_failures import changed_nothing
from domain.fleet.instances.held_backend import provider_idle_s
from domain.fleet.instances.lease import LOOK_S, CountLease, LeasePhase, due_at, is_counted, kept_until, look_by
from domain.fleet.instances.numbered import instance, instances_of
from domain.fleet.instances.scaling import Scaling
from domain.fleet.instances.time_up import end_by_provider
from state.fleet.backend_state import BackendStates
from state.fleet.count_leases import SILENT_S, CountLeases, StoredLease
from state.fleet.further_states import FurtherStates
from state.fleet.state_changes import wait_for_either
from state.money.gpu_sessions import GpuSessions

log = logging.getLogger("ganglion.activities")

SCHEDULE: Final = "*/20 * * * * *"
"""When the timer runs, as NCRONTAB."""

SHORTEST_LOOK_S: Final = 0.01
LONGEST_LOOK_S: Final = 60.0
"""A lease is looked at again after this time at the latest: others change what it depends on."""

TAKE_OVER_S: Final = SILENT_S + 5
TAKE_STEP_S: Final = 0.5
DELAY_STEPS: Final = 8
"""After so many steps the turns that wait for a start are told that it has not begun."""

FRESH_S: Final = 5.0
"""A lease that was written so recently is taken over by nobody: its process records the end of the machine."""

ORPHAN_S, LONGEST_ATTEMPT_S = 60.0, 3600.0
"""A session without a lease is over so long after its last request; the longer one where an attempt never left it."""

LOOK_SHARE: Final = 0.25
"""A session whose idle period has not begun is looked at again after this share of the provider's idle period."""

PING_SHARE: Final = 0.6
"""After this share of the provider's idle period the next request keeps an instance alive."""


class InstanceKeeper:
    """Starts and ends instances of the backends whose `scaling` is not left to the provider."""

    def __init__(
        self,
        *,
        backend_states: BackendStates,
        sessions: GpuSessions,
        leases: CountLeases,
        counter: InstanceCounter,
        clients: Mapping[str, BackendClient],
        fleet: Fleet,
        clock: Clock,
    ) -> None:
        self.backend_states = backend_states
        self.sessions = sessions
        self.leases = leases
        self.counts = InstanceCounts(counter=counter, backend_states=backend_states, leases=leases, clock=clock)
        self.further = FurtherInstances(
            states=FurtherStates(backend_states, clock),
            sessions=sessions,
            leases=leases,
            counts=self.counts,
            clock=clock,
        )
        self.clients = clients
        self.fleet = fleet
        self.clock = clock
        self.watches: dict[str, asyncio.Task[None]] = {}

    @property
    def kept(self) -> tuple[Backend, ...]:
        return tuple(each for each in self.fleet.backends.values() if each.scaling is not Scaling.PROVIDER)

    async def hold(self, backend: Backend, by: str) -> None:
        """Write the lease of the warm-up of `by`, before its session begins: an end under way is waited for."""
        if backend.scaling is not Scaling.PROVIDER:
            await self.take_lease(backend, CountLease(by=by, at=self.clock.now()))

    async def start(self, backend: Backend, by: str) -> None:
        """Set the count, under the lease of `by`, where the product sets it: to 1, or to what runs already.

        Raises BackendError. Calls that may succeed a little later are repeated for a while. No request has started an
        instance whose count was not set, so its session begins then.
        """
        if not is_counted(backend):
            self.watch(backend)
            return
        wanted = 1 if backend.max_instances == 1 else await self.counts.wanted(backend)
        try:
            found = await self.counts.set_to(backend, wanted, by)
        except BackendError as error:
            await self.end_failed_start(backend, error, by)
            raise
        if not await self.counts.has_lease(backend):
            await self.counts.renew_lease(backend, by, wanted)
        await self.counts.keep_at(backend, wanted, by)
        self.watch(backend)
        with suppress(Retryable):
            if began := await self.counts.first_start_at(backend, by, found):
                await self.sessions.record_begun(backend, began)

    async def let_go(self, backend: Backend, by: str) -> None:
        """Give up the lease of `by`, which started nothing. What may run since an earlier one is still ended."""
        found = await self.leases.read(backend)
        if found is None or found.lease.by != by:
            return
        if found.lease.may_run:
            self.watch(backend)
        else:
            await self.leases.remove(backend, found)

    async def take_lease(self, backend: Backend, lease: CountLease) -> None:
        """Write the lease; one that another process is about to end is waited for, and taken over in the end."""
        until = self.clock.now() + TAKE_OVER_S
        for steps in count(1):
            found = await self.leases.read(backend)
            if found is None:
                is_taken = await self.leases.create(backend, lease)
            else:
                is_silent = self.clock.now() >= max(until, found.written_at + FRESH_S)
                may_take = found.lease.phase is LeasePhase.RUNNING or is_silent
                is_taken = may_take and await self.leases.replace(
                    backend, found, replace(lease, may_run=True, target=found.lease.target)
                )
            if is_taken:
                return
            await self.clock.sleep(TAKE_STEP_S)
            if steps % DELAY_STEPS == 0:
                await self.backend_states.record_warm_up_sent(backend, lease.by)

    async def end_failed_start(self, backend: Backend, error: BackendError, by: str) -> None:
        """Let the lease go where nothing was started; where that is not certain, end what may have been."""
        if changed_nothing(error.failure):
            await self.let_go(backend, by)
            return
        found = await self.leases.read(backend)
        if found and found.lease.by == by and not found.lease.may_run:
            await self.leases.replace(backend, found, found.lease.ending())
        elif found is None:
            await self.counts.renew_lease(backend, by, 1)
        self.watch(backend)

    def watch(self, backend: Backend) -> None:
        """End the instance in this process when it is due."""
        known = self.watches.get(backend.name)
        if known is None or known.done():
            work = self.end_when_due(self.fleet.backends[backend.name])
            self.watches[backend.name] = asyncio.create_task(work)

    async def end_when_due(self, backend: Backend) -> None:
        """Look again when that is due, and when this process has changed the state of a backend without attempts."""
        changes = self.backend_states.changes
        changed = changes.following(backend.name)
        while (look_at := await self.looked(backend)) is not None:
            wait_s = min(max(look_at - self.clock.now(), SHORTEST_LOOK_S), LONGEST_LOOK_S)
            await wait_for_either(changed, self.clock.sleep(wait_s))
            changed = changes.following(backend.name)

    async def looked(self, backend: Backend) -> float | None:
        """Return what `look` returns; after an error of the store it looks again soon."""
        try:
            return await self.look(backend)
        except GanglionError as error:
            log.warning("the instances of %s could not be checked: %s", backend.name, error)
            return self.clock.now() + LOOK_S

    async def adopt(self) -> None:
        """End what is due, and watch the other leases in this process. The timer runs this."""
        for backend in self.kept:
            known = self.watches.get(backend.name)
            if (known is None or known.done()) and await self.looked(backend) is not None:
                self.watch(backend)
            if backend.max_instances > 1 and (found := await self.leases.read(backend)):
                await self.stop_orphans(backend, lease=found.lease)

    async def look(self, backend: Backend) -> float | None:
        """End the instance where it is due; return when to look again, None where there is no lease."""
        found = await self.leases.read(backend)
        if found is None:
            await self.stop_orphans(backend)
            return None
        now, state = self.clock.now(), await self.state_of(backend)
        due = due_at(found.lease, backend, state, now)
        if is_counted(backend):
            if until := kept_until(backend, state, due, now):
                await self.backend_states.record_kept_until(backend, until)
            if due <= now:
                return await self.end(backend, found, looked_at=now)
            return min(due, look_by(state, now), await self.further.look(backend, found, state))
        return await self.look_at_kept_alive(backend, found, due)

    async def stop_orphans(self, backend: Backend, *, lease: CountLease | None = None) -> None:
        """End the sessions that have no lease: a request came after the end of its machine, or a process died."""
        for one in instances_of(backend)[lease.target if lease else 0 :]:
            await self.stop_orphan(backend, one)

    async def stop_orphan(self, backend: Backend, one: Backend) -> None:
        session = (await self.sessions.current(one)).session
        if session is None or session.idle_s is None or session.stopped_at is not None:
            return
        over_s, now = LONGEST_ATTEMPT_S if session.running else ORPHAN_S, self.clock.now()
        ended = session.last_end if is_counted(backend) else end_by_provider(session, backend)
        is_used = one.name == backend.name and (await self.state_of(backend)).load.running(now) > 0
        if now >= ended + over_s and not is_used:
            await self.sessions.record_stopped(one, ended)

    async def end(self, backend: Backend, found: StoredLease, *, looked_at: float) -> float | None:
        """Set the count to 0, then record when the machine stopped, then forget the lease."""
        now = self.clock.now()
        if now < (paused_until := self.counts.paused_until.get(backend.name, 0.0)):
            return paused_until
        if not found.is_free(self.leases.process, now):
            return found.written_at + SILENT_S
        is_running = found.lease.phase is not LeasePhase.ENDING
        if is_running and not await self.backend_states.record_stop(backend, looked_at=looked_at):
            return now + LOOK_S
        if not await self.leases.replace(backend, found, found.lease.ending()):
            return now
        again_at = await self.counts.lower_to(backend, 0)
        return await self.note_end(backend) if again_at is None else again_at

    async def note_end(self, backend: Backend) -> float | None:
        """Record that all machines have stopped; where a start has taken the lease over meanwhile, they run on."""
        now, found = self.clock.now(), await self.leases.read(backend)
        if found is None:
            return None
        is_taken = found.lease.phase is LeasePhase.RUNNING or found.process != self.leases.process
        if is_taken or not await self.leases.replace(backend, found, found.lease):
            return now + LOOK_S
        for number in range(found.lease.target):
            await self.sessions.record_stopped(instance(backend, number), now)
        return await self.forget(backend)

    async def forget(self, backend: Backend) -> float | None:
        found = await self.leases.read(backend)
        if found is None or await self.leases.remove(backend, found):
            return None
        return self.clock.now()

    async def look_at_kept_alive(self, backend: Backend, found: StoredLease, due: float) -> float | None:
        """Keep an instance alive by requests until it is due; then its provider ends it."""
        now, session = self.clock.now(), (await self.sessions.current(backend)).session
        if session is None or session.stopped_at is not None:
            return due if due > now else await self.forget(backend)
        if session.running or session.ready_at is None:
            soon = now + LOOK_SHARE * provider_idle_s(backend)
            return min(due, soon) if due > now else await self.forget(backend)
        ends_at = end_by_provider(session, backend)
        if now >= ends_at:
            await self.backend_states.record_stop(backend, looked_at=now)
            await self.sessions.record_stopped(backend, ends_at)
            return await self.forget(backend)
        if ends_at >= due:
            return ends_at
        ping_at = ends_at - (1 - PING_SHARE) * provider_idle_s(backend)
        return ping_at if now < ping_at else await self.ping(backend, found)

    async def ping(self, backend: Backend, found: StoredLease) -> float:
        await self.leases.replace(backend, found, replace(found.lease, requested_at=self.clock.now()))
        try:
            await self.clients[backend.name].authenticate()
            await self.clients[backend.name].probe()
        except BackendError as error:
            log.warning("%s could not be kept alive: %s", backend.name, error)
            return self.clock.now() + LOOK_S
        await self.sessions.record_ready(backend, self.clock.now())
        return self.clock.now()

    async def state_of(self, backend: Backend) -> BackendState:
        return (await self.backend_states.read({backend.name: backend}))[backend.name]

    @property
    def tasks(self) -> list[asyncio.Task[Any]]:
        """The watches under way."""
        return [each for each in self.watches.values() if not each.done()]

"""How is a count set that the Admin API may refuse for a while?"""

import logging
from contextlib import suppress
from copy import replace
from typing import Final, NamedTuple

from clients.backends.port import BackendError
from clients.clock import Clock
from clients.instances.port import InstanceCounter
from domain.errors import Retryable
from domain.fleet.catalog import Backend
from domain.fleet.instances.count_failures import START_TRIES, changed_nothing, is_unheard, may_repeat, pause_s
from domain.fleet.instances.lease import CountLease, LeasePhase, with_target
from domain.fleet.instances.several import wanted_count
from state.fleet.backend_state import BackendStates
from state.fleet.count_leases import CountLeases

log = logging.getLogger("ganglion.activities")

LEASE_PAUSE_S: Final = 1.0
"""How long until a lease is written again that could not be."""


class CountSet(NamedTuple):
    """When the first call to set a count ended, and when the first one that has changed it or had no answer."""

    first_at: float
    changed_at: float


class InstanceCounts:
    """Sets the counts of all backends whose instances the product counts."""

    def __init__(
        self, *, counter: InstanceCounter, backend_states: BackendStates, leases: CountLeases, clock: Clock
    ) -> None:
        self.counter = counter
        self.backend_states = backend_states
        self.leases = leases
        self.clock = clock
        self.paused_until: dict[str, float] = {}

    async def set_to(self, backend: Backend, count: int, by: str) -> CountSet:
        """Set a higher count; the turns that wait for the start of `by` are told of a delay.

        Raises the first error after which the count may be set all the same, else the last.
        """
        unknown: BackendError | None = None
        ends: list[float] = []
        changed_at: float | None = None
        while True:
            try:
                await self.counter.set_count(backend, count)
            except BackendError as error:
                ends.append(self.clock.now())
                if unknown is None and not changed_nothing(error.failure):
                    unknown = error
                if changed_at is None and is_unheard(error.failure):
                    changed_at = ends[-1]
                if len(ends) == START_TRIES or not may_repeat(error.failure):
                    raise unknown or error from None
                await self.clock.sleep(pause_s(len(ends), error.failure))
                await self.backend_states.record_warm_up_sent(backend, by)
            else:
                now = self.clock.now()
                return CountSet(ends[0] if ends else now, now if changed_at is None else changed_at)

    async def keep_at(self, backend: Backend, count: int, by: str) -> None:
        """After a count was set, set what others have asked for since: the call of this process may have come last."""
        if backend.max_instances == 1:
            return
        with suppress(BackendError, Retryable):
            while (wanted := await self.wanted(backend)) > count:
                count = wanted
                await self.set_to(backend, count, by)

    async def wanted(self, backend: Backend) -> int:
        """Return how many instances are to run, of those that the lease lets run; one at least."""
        found = await self.leases.read(backend)
        state = (await self.backend_states.read({backend.name: backend}))[backend.name]
        return min(wanted_count(state), found.lease.target if found else 1)

    async def renew_lease(self, backend: Backend, by: str, count: int) -> None:
        """Write a lease for a count that may have been set after the others have ended: under the lease it is lowered.

        Whoever has lowered the count under the lease does it again: the lease runs on.
        """
        while not await self.is_leased(backend, by, count):
            await self.clock.sleep(LEASE_PAUSE_S)

    async def is_leased(self, backend: Backend, by: str, count: int) -> bool:
        """Let a lease say that so many instances may run; False where that has to be repeated."""
        new = CountLease(by=by, at=self.clock.now(), may_run=True, target=count)
        try:
            found = await self.leases.read(backend)
            if found is None:
                return await self.leases.create(backend, new)
            running = replace(with_target(found.lease, count), phase=LeasePhase.RUNNING)
            return await self.leases.replace(backend, found, running)
        except Retryable:
            return False

    async def has_lease(self, backend: Backend) -> bool:
        """Return whether instances may run; where the store does not answer they are taken for ended."""
        with suppress(Retryable):
            found = await self.leases.read(backend)
            return found is not None and found.lease.phase is LeasePhase.RUNNING
        return False

    async def first_start_at(self, backend: Backend, by: str, found: CountSet) -> float | None:
        """Return when the first instance was started by `by`; None where it may have run before.

        Where more instances are wanted by now, their count may have been set before that of `by` was.
        """
        stored = await self.leases.read(backend)
        if stored is None or stored.lease.by != by or stored.lease.may_run:
            return None
        return found.changed_at if stored.lease.target == 1 else found.first_at

    async def lower_to(self, backend: Backend, count: int) -> float | None:
        """Set a lower count and wait until it is so; return None, or after a failure when to try again."""
        try:
            await self.counter.wait(backend, await self.counter.set_count(backend, count))
        except BackendError as error:
            return await self.note_failure(backend, count, error)
        return None

    async def note_failure(self, backend: Backend, count: int, error: BackendError) -> float:
        """Count a failure; the machine goes on costing money until another call succeeds."""
        found, now = await self.leases.read(backend), self.clock.now()
        if found is None:
            return now
        tries = found.lease.tries + 1
        log.error(
            "%s: its instance count could not be set to %d, so instances still run (try %d): %s",
            backend.name,
            count,
            tries,
            error,
        )
        await self.leases.replace(backend, found, replace(found.lease, tries=tries))
        self.paused_until[backend.name] = now + pause_s(tries, error.failure)
        return self.paused_until[backend.name]

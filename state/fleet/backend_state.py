"""Where is the learned state of each backend stored, and how do many instances update it together?"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
from clients.storage.port import Container, Create, Document, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict, Retryable
from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import WarmUp
from domain.fleet.failure_classes import Diagnosis
from domain.fleet.learned_speed import Observation
from domain.fleet.state_updates import (
    after_end,
    after_failed_warm_up,
    after_failure,
    after_hold,
    after_leaving_queue,
    after_opening,
    after_probe,
    after_queueing,
    after_release,
    after_sending,
    after_start,
    after_success,
    after_warm_up,
    start_seen,
)
from domain.routing.queueing import QueuedTurn, QueueWait
from telemetry.metrics import backend_attributes, count_cold_start
from telemetry.spans import current_traceparent
from telemetry.turn import record_warm_up

STATE_ID = "belief"
TRIES = 10
"""A backend's state is worth a few tries: an update that is lost costs accuracy, and no answer."""


def backend_key(backend: Backend) -> DocumentKey:
    return DocumentKey(container=Container.FLEET, parts=(backend.name,))


class BackendStates:
    """One document for each backend, updated by compare-and-swap. An update that cannot be written is dropped.

    Within one process, updates of one backend wait for each other, so that they do not collide.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, backends: Mapping[str, Backend]) -> Mapping[str, BackendState]:
        """Return the state of each backend by its name; a backend without a document has its initial state."""
        documents = await asyncio.gather(*(self.document(backend) for backend in backends.values()))
        return {name: state_from(backends[name], found) for name, found in zip(backends, documents, strict=True)}

    async def record_start(self, backend: Backend, attempt: str, *, until: float, response: str = "") -> None:
        now = self.clock.now()
        await self.update(
            backend, lambda state: after_start(state, attempt=attempt, until=until, now=now, response=response)
        )

    async def record_opening(self, backend: Backend, *, asked_at: float) -> None:
        """Record that a backend which was not known to be warm accepted a request, and count the cold start, if any."""
        now = self.clock.now()
        found: list[BackendState] = []

        def opened(state: BackendState) -> BackendState:
            found.append(state)
            return after_opening(state, backend, asked_at=asked_at, opened_at=now)

        updated = await self.update(backend, opened)
        took_s = start_seen(found[-1], asked_at=asked_at, opened_at=now) if updated else None
        if took_s is not None:
            count_cold_start(backend, took_s)
            show_start(backend, found[-1].warmth.warm_up, opened_at=now)

    async def record_success(self, backend: Backend, seen: Observation) -> None:
        await self.update(backend, lambda state: after_success(state, seen, backend))

    async def record_failure(
        self, backend: Backend, diagnosis: Diagnosis, attempt: str, *, asked_at: float | None = None
    ) -> None:
        now = self.clock.now()
        asked = now if asked_at is None else asked_at
        await self.update(
            backend,
            lambda state: after_failure(state, diagnosis, backend, attempt=attempt, asked_at=asked, now=now),
        )

    async def record_end(self, backend: Backend, attempt: str) -> None:
        """Record that an attempt is no longer in flight, and change nothing else."""
        await self.update(backend, lambda state: after_end(state, attempt=attempt))

    async def claim_warm_up(self, backend: Backend, by: str) -> BackendState | None:
        """Reserve the warm-up of a cold backend for `by`; None where it is warm, or another caller is warming it up."""
        now, trace = self.clock.now(), current_traceparent()
        return await self.update(
            backend, lambda state: after_warm_up(state, backend, by=by, now=now, traceparent=trace)
        )

    async def record_warm_up_sent(self, backend: Backend, by: str) -> None:
        """Record that a warm-up request is sent now, later than it was decided."""
        now = self.clock.now()
        await self.update(backend, lambda state: after_sending(state, by=by, now=now))

    async def record_warm_up_hold(self, backend: Backend, by: str, *, held_until: float | None) -> None:
        """Record that a warm-up request is still without an answer; `held_until` is set while it stays open."""
        now = self.clock.now()
        await self.update(backend, lambda state: after_hold(state, by=by, now=now, held_until=held_until))

    async def record_warm_up_failure(self, backend: Backend, diagnosis: Diagnosis, by: str) -> None:
        """Record that a warm-up request was rejected or could not be sent, and why."""
        now = self.clock.now()
        await self.update(backend, lambda state: after_failed_warm_up(state, diagnosis, by=by, now=now))

    async def release_warm_up(self, backend: Backend, by: str) -> None:
        """Record that the warm-up of `by` was never sent, so that another caller may send one."""
        await self.update(backend, lambda state: after_release(state, by=by))

    async def record_queued_turn(self, backend: Backend, turn: QueuedTurn, wait: QueueWait) -> None:
        """Record the place in the queue of a turn that waits for a free slot."""
        now, admitted_at = self.clock.now(), turn.admitted_at
        await self.update(
            backend,
            lambda state: after_queueing(state, turn.response, admitted_at=admitted_at, until=wait.kept_until, now=now),
        )

    async def leave_queue(self, backend: Backend, response: str) -> None:
        """Record that a turn no longer waits for this backend."""
        await self.update(backend, lambda state: after_leaving_queue(state, response))

    async def claim_probe(self, backend: Backend, by: str) -> bool:
        """Reserve the probe of a backend whose circuit is open for `by`; False where another caller probes it."""
        now = self.clock.now()
        return await self.update(backend, lambda state: after_probe(state, by=by, now=now)) is not None

    async def update(
        self, backend: Backend, change: Callable[[BackendState], BackendState | None]
    ) -> BackendState | None:
        """Return the state after a change; None where `change` returned None, or the change could not be written."""
        async with self.locks[backend.name]:
            try:
                return await compare_and_swap(
                    self.clock, lambda: self.swap(backend, change), tries=TRIES, retry_on=(Conflict, Retryable)
                )
            except Retryable:
                return None

    async def swap(
        self, backend: Backend, change: Callable[[BackendState], BackendState | None]
    ) -> BackendState | None:
        found = await self.document(backend)
        before = state_from(backend, found)
        after = change(before)
        if after is None or after == before:
            return after
        body = {"kind": STATE_ID, **after.to_document()}
        write = Replace(id=STATE_ID, body=body, etag=found.etag) if found else Create(id=STATE_ID, body=body)
        await self.store.commit(backend_key(backend), (write,))
        return after

    async def document(self, backend: Backend) -> Document | None:
        return await self.store.read(backend_key(backend), STATE_ID)


def state_from(backend: Backend, document: Document | None) -> BackendState:
    return read_or_none(document, lambda found: found.read_as(BackendState.from_document)) or initial_state(backend)


def last_starts(states: Mapping[str, BackendState]) -> Mapping[str, float]:
    """Return when the last start of each backend began that has one, in seconds since the epoch."""
    starts = {name: state.warmth.started_at for name, state in states.items()}
    return {name: at for name, at in starts.items() if at is not None}


def show_start(backend: Backend, warm_up: WarmUp | None, *, opened_at: float) -> None:
    """Show a start in the trace of the turn that sent the warm-up, whichever process saw its end."""
    if warm_up and warm_up.traceparent:
        record_warm_up(
            backend_attributes(backend),
            by=warm_up.by,
            traceparent=warm_up.traceparent,
            start=warm_up.since,
            end=opened_at,
        )

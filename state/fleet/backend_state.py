"""Where is what we believe of each backend kept, and how do many instances learn together?"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

from clients.clock import Clock
from clients.storage.port import Container, Create, Document, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict, Retryable
from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Diagnosis
from domain.fleet.state_updates import (
    Observation,
    after_failed_warm_up,
    after_failure,
    after_hold,
    after_opening,
    after_probe,
    after_queueing,
    after_sending,
    after_start,
    after_success,
    after_warm_up,
    start_seen,
    without,
)
from domain.routing.queueing import QueuedTurn, QueueWait
from telemetry import count_cold_start

STATE_ID = "belief"
TRIES = 10
PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0
"""Pauses grow, or many that learn at once would go on getting in each other's way."""


def backend_key(backend: Backend) -> DocumentKey:
    return DocumentKey(container=Container.FLEET, parts=(backend.name,))


class BackendStates:
    """Beliefs under compare-and-swap. A lesson that can't be written is lost: it is a belief, not a fact.

    Within one process those who learn of a backend stand in line, so that they don't get in each other's way.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def read(self, backends: Mapping[str, Backend]) -> Mapping[str, BackendState]:
        """Return what is believed of each backend, by its name."""
        documents = await asyncio.gather(*(self.document(backend) for backend in backends.values()))
        return {name: state_from(backends[name], found) for name, found in zip(backends, documents, strict=True)}

    async def record_start(self, backend: Backend, attempt: str, *, until: float, response: str = "") -> None:
        now = self.clock.now()
        await self.update(
            backend, lambda belief: after_start(belief, attempt=attempt, until=until, now=now, response=response)
        )

    async def record_opening(self, backend: Backend, *, asked_at: float) -> None:
        """Learn that a backend which was not believed to be up has let a request in; a start that it tells counts."""
        now = self.clock.now()
        took_s: list[float | None] = []

        def lesson(belief: BackendState) -> BackendState:
            took_s.append(start_seen(belief, asked_at=asked_at, opened_at=now))
            return after_opening(belief, backend, asked_at=asked_at, opened_at=now)

        learned = await self.update(backend, lesson)
        if learned and took_s[-1] is not None:
            count_cold_start(backend, took_s[-1])

    async def record_success(self, backend: Backend, seen: Observation) -> None:
        await self.update(backend, lambda belief: after_success(belief, seen, backend))

    async def record_failure(
        self, backend: Backend, diagnosis: Diagnosis, attempt: str, *, asked_at: float | None = None
    ) -> None:
        now = self.clock.now()
        asked = now if asked_at is None else asked_at
        await self.update(
            backend,
            lambda belief: after_failure(belief, diagnosis, backend, attempt=attempt, asked_at=asked, now=now),
        )

    async def record_end(self, backend: Backend, attempt: str) -> None:
        """Count an attempt as ended, and learn nothing from it."""
        await self.update(backend, lambda belief: replace(belief, in_flight=without(belief.in_flight, attempt)))

    async def claim_warm_up(self, backend: Backend, by: str) -> BackendState | None:
        """Let `by` wake a sleeping backend; None where it is up, or is being woken by another."""
        now = self.clock.now()
        return await self.update(backend, lambda belief: after_warm_up(belief, backend, by=by, now=now))

    async def record_warm_up_sent(self, backend: Backend, by: str) -> None:
        """Learn that a wake is sent now, and not when it was decided on."""
        now = self.clock.now()
        await self.update(backend, lambda belief: after_sending(belief, by=by, now=now))

    async def record_warm_up_hold(self, backend: Backend, by: str, *, held_until: float | None) -> None:
        """Learn that a wake was held to no avail so far; `held_until` is set where it is held on."""
        now = self.clock.now()
        await self.update(backend, lambda belief: after_hold(belief, by=by, now=now, held_until=held_until))

    async def record_warm_up_failure(self, backend: Backend, diagnosis: Diagnosis, by: str) -> None:
        """Learn that a wake was refused or could not be sent, and why."""
        now = self.clock.now()
        await self.update(backend, lambda belief: after_failed_warm_up(belief, diagnosis, by=by, now=now))

    async def release_warm_up(self, backend: Backend, by: str) -> None:
        """Learn that a wake was never sent."""
        await self.update(
            backend,
            lambda belief: replace(belief, warm_up=None) if belief.warm_up and belief.warm_up.by == by else belief,
        )

    async def record_queued_turn(self, backend: Backend, turn: QueuedTurn, wait: QueueWait) -> None:
        """Keep the place of a turn that waits for room."""
        now, admitted_at = self.clock.now(), turn.admitted_at
        await self.update(
            backend,
            lambda belief: after_queueing(
                belief, turn.response, admitted_at=admitted_at, until=wait.kept_until, now=now
            ),
        )

    async def claim_probe(self, backend: Backend, by: str) -> bool:
        """Let `by` try a backend whose circuit was open; False where somebody else is at it."""
        now = self.clock.now()
        return await self.update(backend, lambda belief: after_probe(belief, by=by, now=now)) is not None

    async def update(
        self, backend: Backend, lesson: Callable[[BackendState], BackendState | None]
    ) -> BackendState | None:
        """Return what is believed then; None where the lesson is that it can't be so, or could not be written."""
        async with self.locks[backend.name]:
            for number in range(TRIES):
                try:
                    return await self.swap(backend, lesson)
                except (Conflict, Retryable):
                    await self.clock.sleep(self.clock.fraction() * min(PAUSE_S * 2**number, LONGEST_PAUSE_S))
        return None

    async def swap(
        self, backend: Backend, lesson: Callable[[BackendState], BackendState | None]
    ) -> BackendState | None:
        there = await self.document(backend)
        before = state_from(backend, there)
        after = lesson(before)
        if after is None or after == before:
            return after
        body = {"kind": STATE_ID, **after.to_document()}
        write = Replace(id=STATE_ID, body=body, etag=there.etag) if there else Create(id=STATE_ID, body=body)
        await self.store.commit(backend_key(backend), (write,))
        return after

    async def document(self, backend: Backend) -> Document | None:
        return await self.store.read(backend_key(backend), STATE_ID)


def state_from(backend: Backend, document: Document | None) -> BackendState:
    return BackendState.from_document(document.body) if document else initial_state(backend)

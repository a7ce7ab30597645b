"""Where is what we believe of each backend kept, and how do many instances learn together?"""

from collections.abc import Callable, Mapping

from clients.clock import Clock
from clients.store import Container, Create, Document, Key, Replace, Store
from domain.beliefs import Belief, Observation, after_failure, after_start, after_success, seed
from domain.errors import Conflict, Retryable
from domain.fleet import Backend
from domain.postures import Diagnosis

BELIEF = "belief"
TRIES = 10
PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0
"""Pauses grow, or many that learn at once would go on getting in each other's way."""


def belief_key(backend: Backend) -> Key:
    return Key(container=Container.FLEET, parts=(backend.name,))


class Beliefs:
    """Beliefs under compare-and-swap. A lesson that can't be written is lost: it is a belief, not a fact."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def read(self, backends: Mapping[str, Backend]) -> Mapping[str, Belief]:
        """Return what is believed of each backend, by its name."""
        return {name: believed(backend, await self.document(backend)) for name, backend in backends.items()}

    async def started(self, backend: Backend, attempt: str, *, until: float) -> None:
        now = self.clock.now()
        await self.learn(backend, lambda belief: after_start(belief, attempt=attempt, until=until, now=now))

    async def succeeded(self, backend: Backend, seen: Observation) -> None:
        await self.learn(backend, lambda belief: after_success(belief, seen, backend))

    async def failed(self, backend: Backend, diagnosis: Diagnosis, attempt: str) -> None:
        now = self.clock.now()
        await self.learn(backend, lambda belief: after_failure(belief, diagnosis, attempt=attempt, now=now))

    async def learn(self, backend: Backend, lesson: Callable[[Belief], Belief]) -> None:
        for number in range(TRIES):
            try:
                return await self.swap(backend, lesson)
            except (Conflict, Retryable):
                await self.clock.sleep(self.clock.fraction() * min(PAUSE_S * 2**number, LONGEST_PAUSE_S))
        return None

    async def swap(self, backend: Backend, lesson: Callable[[Belief], Belief]) -> None:
        there = await self.document(backend)
        body = {"kind": BELIEF, **lesson(believed(backend, there)).to_document()}
        write = Replace(id=BELIEF, body=body, etag=there.etag) if there else Create(id=BELIEF, body=body)
        await self.store.commit(belief_key(backend), (write,))

    async def document(self, backend: Backend) -> Document | None:
        return await self.store.read(belief_key(backend), BELIEF)


def believed(backend: Backend, document: Document | None) -> Belief:
    return Belief.from_document(document.body) if document else seed(backend)

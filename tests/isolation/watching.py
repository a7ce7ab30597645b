"""Which partitions does a request touch?"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.backends.port import AnswerEnd, TextPiece
from clients.storage.port import Container, Document, DocumentKey, DocumentStore, FoundDocument, Operation
from domain.identity.owners import Owner
from domain.turns.rate_limits import RateLimit, RateLimits
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.api.harness import ANSWER, Api
from tests.api.tools.agents import agent, calls
from tests.fakes.backends import Act, FakeBackend, says
from tests.fakes.clocks import FakeClock


@dataclass(slots=True, kw_only=True)
class WatchedStore:
    """A store that records the key of every call; a query across partitions has none."""

    inner: DocumentStore
    touched: list[DocumentKey | None] = field(default_factory=list[DocumentKey | None])

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        self.touched.append(key)
        return await self.inner.read(key, identifier)

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        self.touched.append(key)
        return await self.inner.list(key, prefix=prefix, after=after, limit=limit)

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        self.touched.append(key)
        return await self.inner.commit(key, operations)

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        self.touched.append(None)
        return await self.inner.find(container, kind=kind, status=status, before=before, limit=limit)

    async def close(self) -> None:
        await self.inner.close()


class AskingModel(FakeBackend):
    """Answers; where it may call functions, it asks to send what it reads as a note."""

    def __init__(self) -> None:
        super().__init__(says(ANSWER))

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        call = self.calls[-1]
        if call.tools.callable_functions:
            script = calls(("shop__send_note", {"text": call.items[-1].text}))
        async for piece in super().play(script):
            yield piece


PLENTY = RateLimit(per_minute=60_000, burst=100_000, running=1000)
UNLIMITED = RateLimits(owner=PLENTY, tenant=PLENTY)
"""The probes are more requests than a caller may send at once."""


def watched_api(inner: DocumentStore, clock: FakeClock) -> tuple[Api, WatchedStore]:
    """Return an API over a watched store.

    The rate limiter bypasses it: it reads whether turns of all owners of the tenant have ended.
    """
    watched = WatchedStore(inner=inner)
    watching = agent(main=AskingModel(), store=watched, clock=clock, limits=UNLIMITED)
    watching.limits.turns = TurnStore(inner, clock, WebhookEndpoints())
    return watching, watched


def is_own(container: str, parts: Sequence[Any], owner: Owner) -> bool:
    """Return whether this owner's requests may touch a partition; those of backends are shared."""
    if container == Container.TURNS:
        return list(parts[:2]) == [owner.tenant, owner.subject] and len(parts) == 3
    return container == Container.FLEET or list(parts) == [owner.tenant]

"""Who shares the open GPU sessions, and what is the part of each so far?

The members of a session are a query of its backend. So a summary of a large fleet reads those of a few sessions at a
time, in turns.
"""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from clients.clock import Clock
from clients.storage.damage import readable
from clients.storage.paging import list_all
from clients.storage.port import Document, DocumentStore
from domain.fleet.catalog import Backend
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.outlook import outlook
from domain.money.sessions.work_times import WorkTime, work_times
from state.fleet.state_documents import backend_key
from state.money.session_documents import span_prefix

MOST_MEMBERS: Final = 200
"""Dividing a session among more members takes too long for a summary: it has none."""


class Sharer(Struct, frozen=True, kw_only=True):
    """A turn, or the warm-up of an operator, in a session, and the dollars of its part if the machine stopped now."""

    tenant: str
    response: str
    used: Decimal


class SessionSharers(Struct, frozen=True, kw_only=True):
    """All sharers of the session `id`, and when its requests ran, as they were at `at`, in seconds since the epoch."""

    id: str
    at: float
    sharers: tuple[Sharer, ...]
    work: tuple[WorkTime, ...] = ()


class SharerReader:
    """Keeps what it has read of each session until its turn comes again."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.known: dict[str, SessionSharers] = {}

    async def of(
        self, opened: Mapping[str, GpuSession], backends: Mapping[str, Backend], *, most: int
    ) -> Mapping[str, SessionSharers]:
        """Return the sharers of the open sessions by backend; those of `most` sessions are read again, oldest first."""
        current = {name: each for name, each in opened.items() if name in backends and each.members <= MOST_MEMBERS}
        known = {name: each for name, each in self.known.items() if name in current and each.id == current[name].id}
        oldest = sorted(current, key=lambda name: known[name].at if name in known else 0.0)[:most]
        found = await asyncio.gather(*(self.read(backends[name], current[name]) for name in oldest))
        self.known = known | {name: each for name, each in zip(oldest, found, strict=True) if each}
        return self.known

    async def read(self, backend: Backend, session: GpuSession) -> SessionSharers | None:
        price, now = backend.price, self.clock.now()
        if not isinstance(price, TimePrice):
            return None
        documents = await list_all(self.store, backend_key(backend), prefix=span_prefix(session.id))
        spans = list(readable(documents, span_of))
        used = outlook(session, spans, price, now).used
        parts = (
            Sharer(tenant=each.tenant, response=each.response, used=sum(used[each.record].values(), Decimal(0)))
            for each in spans
        )
        return SessionSharers(id=session.id, at=now, sharers=tuple(parts), work=work_times(session, spans, now))


def span_of(document: Document) -> SessionSpan:
    return document.read_as(SessionSpan.from_document)

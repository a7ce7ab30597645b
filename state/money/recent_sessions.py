"""Which GPU sessions are open, and which of the last hours are over?

The open ones of all backends take two queries. The ended ones of a backend are read again when its session has changed.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from clients.clock import Clock
from clients.storage.damage import readable
from clients.storage.port import Body, Container, Document, DocumentStore, FoundDocument
from domain.fleet.catalog import Backend
from domain.fleet.warmth import Warmth
from domain.money.ledger_records import NANOS
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, session_cost
from domain.money.sessions.parts import PART_KIND, SessionPart, whole_session
from domain.money.sessions.work_times import WorkTime
from state.fleet.backend_state import backend_key
from state.money.gpu_session_billing import KIND, WORK, session_of
from state.money.session_documents import CLOSING, OPEN, closed_id, is_of

REACH_S = 24 * 3600
MOST = 100
"""How many sessions of a backend are shown: the latest ones."""

UNPOSTED_S = 15.0
"""So soon the sessions are read again where the shares of one were not posted: then it is known when it worked."""

MOST_OPEN = 5000
"""As many open sessions, and parts of them, are read: each process that takes part in one has a part."""


class EndedSession(Struct, frozen=True, kw_only=True):
    """A session that is over, when its machine stopped (seconds since the epoch), and what it cost in dollars.

    `work` is when its requests ran; None where that was not recorded: its shares are not posted yet, or an earlier
    release closed it.
    """

    session: GpuSession
    ended_at: float
    cost: Decimal
    work: tuple[WorkTime, ...] | None = None

    @property
    def served(self) -> bool:
        """Whether it answered anything: a warm-up alone answers nothing."""
        return self.session.members > bool(self.session.warm_up_record)


class Seen(NamedTuple):
    """What was known of a backend when its ended sessions were read: they stay as long as this stays."""

    session: str
    warmth: Warmth | None


class ReadSessions(NamedTuple):
    """The ended sessions of a backend, and until when they stay as they are if what was `seen` stays."""

    seen: Seen
    until: float
    sessions: tuple[EndedSession, ...]


class RecentSessions:
    """The sessions of the backends that are paid by time."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.known: dict[str, ReadSessions] = {}

    async def opened(self) -> Mapping[str, GpuSession]:
        """Return the open session of each backend that has one, with the parts of all processes."""
        soon = self.clock.now() + 1
        bases, parts = await asyncio.gather(
            *(
                self.store.find(Container.FLEET, kind=kind, status=OPEN, before=soon, limit=MOST_OPEN)
                for kind in (KIND, PART_KIND)
            )
        )
        by_backend = documents_by_backend(parts)
        sessions = readable((each.document for each in bases), session_of)
        return {each.backend: with_parts(each, by_backend[each.backend]) for each in sessions}

    async def ended(self, backend: Backend, current: GpuSession | None, warmth: Warmth) -> tuple[EndedSession, ...]:
        """Return the sessions that began in the last day and are over, oldest first.

        They are read where the backend's open session is another one than before; without one, where a use of the
        backend has changed its warmth.
        """
        price, now = backend.price, self.clock.now()
        if not isinstance(price, TimePrice):
            return ()
        seen = Seen(current.id, None) if current else Seen("", warmth)
        known = self.known.get(backend.name)
        if known is None or known.seen != seen or not now < known.until:
            sessions, posted = await self.read(backend, price, now - REACH_S)
            known = ReadSessions(seen=seen, until=math.inf if posted else now + UNPOSTED_S, sessions=sessions)
            self.known[backend.name] = known
        return tuple(each for each in known.sessions if each.session.started >= now - REACH_S)

    async def read(self, backend: Backend, price: TimePrice, since: float) -> tuple[tuple[EndedSession, ...], bool]:
        """Return the sessions, and whether the shares of all of them are posted."""
        after = closed_id(f"{round(since * 1000):015d}")
        documents = await self.store.list(backend_key(backend), prefix=closed_id(""), after=after)
        posted = CLOSING not in readable(documents, status_of)
        return tuple(readable(documents, partial(ended_session, price=price)))[-MOST:], posted


def documents_by_backend(found: Iterable[FoundDocument]) -> Mapping[str, list[Document]]:
    by_backend: defaultdict[str, list[Document]] = defaultdict(list)
    for each in found:
        by_backend[each.key.parts[0]].append(each.document)
    return by_backend


def with_parts(session: GpuSession, parts: Iterable[Document]) -> GpuSession:
    return whole_session(session, readable(parts, partial(part_of, session=session)))


def part_of(document: Document, session: GpuSession) -> SessionPart | None:
    """Return a part of a session; None where it is one of another session."""
    return document.read_as(SessionPart.from_document) if is_of(document, session) else None


def status_of(document: Document) -> object:
    return document.body.get("status")


def ended_session(document: Document, price: TimePrice) -> EndedSession:
    session = session_of(document)
    return EndedSession(
        session=session,
        ended_at=session.expiry(price.idle_s),
        cost=session_cost(session, price) / NANOS,
        work=document.read_as(work_in),
    )


def work_in(body: Body) -> tuple[WorkTime, ...] | None:
    """Return when the requests of a closed session ran; None where that was not recorded."""
    work = body.get(WORK)
    return None if work is None else tuple((began, ended) for began, ended in work)

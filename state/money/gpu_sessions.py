"""Which life of a GPU does a request take part in, and how is its end found and paid?

The session of a backend is one document beside its belief, and a span for each attempt and wake that takes part; both
change in one batch, under compare-and-swap. When it is over a copy that nobody changes any more takes its place, and
what each member pays is posted to its tenant: each step is safe to repeat, and a crash leaves the rest to the sweep.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from clients.clock import Clock
from clients.storage.port import Create, Delete, Document, DocumentStore, Operation, Replace
from domain.errors import Conflict, Exhausted
from domain.fleet.catalog import Backend
from domain.identity.owners import Owner
from domain.money.gpu_sessions import GpuSession, Nanos, SessionSpan
from domain.money.ledger_records import AttemptRecord, SessionShare
from domain.money.prices import TimePrice
from domain.money.provisional_charges import dollars, provisional, provisional_warm_up
from state.fleet.backend_state import backend_key
from state.money.ledger import Ledger

log = logging.getLogger(__name__)

SESSION_ID = "session"
OPEN, CLOSING = "open", "closing"
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEntry:
    """One run of an attempt in a session; `worst` is what it may be charged, in dollars."""

    session: str
    record: str
    run: int
    worst: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentSession:
    """A backend's session as it stands, if there is one."""

    session: GpuSession | None
    etag: str = ""

    def write(self, session: GpuSession) -> Operation:
        body = session.to_document(OPEN)
        return Replace(id=SESSION_ID, body=body, etag=self.etag) if self.etag else Create(id=SESSION_ID, body=body)


class GpuSessions:
    """The sessions of backends that scale to zero and are paid by their time; others have none."""

    def __init__(self, *, store: DocumentStore, ledger: Ledger, clock: Clock) -> None:
        self.store = store
        self.ledger = ledger
        self.clock = clock
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def price(self, backend: Backend) -> TimePrice | None:
        """Return the price of a backend whose time is paid in sessions."""
        price = backend.price
        return price if isinstance(price, TimePrice) and backend.cold_start.scales_to_zero else None

    async def enter(
        self, backend: Backend, owner: Owner, attempt: AttemptRecord, *, limit_s: float
    ) -> SessionEntry | None:
        """Take part from now on, before the record is opened; None where the backend has no sessions.

        The attempt may run for so many seconds. A redelivery counts as another run of it.
        """
        price = self.price(backend)
        if price is None:
            return None

        async def decided(current: CurrentSession) -> tuple[Sequence[Operation], SessionEntry]:
            now = self.clock.now()
            session, closing = self.session_at(backend, price, current, now, cold_s=backend.cold_start.p50_s)
            found = await self.store.read(backend_key(backend), span_id(session.id, attempt.id))
            span = begun(owner, attempt, found, now)
            entered = session.entered(span.record, span.tenant, again=found is not None)
            worst = worst_of(session, backend, price, now=now, limit_s=limit_s)
            entry = SessionEntry(session=session.id, record=span.record, run=span.run, worst=worst)
            return (current.write(entered), spanning(session.id, span, found), *closing), entry

        return await self.swap(backend, decided)

    async def leave(
        self, backend: Backend, entry: SessionEntry, *, ended: float, opened_at: float | None = None
    ) -> Mapping[str, SessionShare]:
        """Take part no more; return what the run is charged till the session is closed, by the session's name.

        Nothing is returned where another run has followed this one, or the session went on without it.
        """
        price = self.price(backend)

        async def decided(current: CurrentSession) -> tuple[Sequence[Operation], Nanos | None]:
            found = await self.store.read(backend_key(backend), span_id(entry.session, entry.record))
            span = SessionSpan.from_document(found.body) if found else None
            if found is None or span is None or price is None or span.run != entry.run:
                return (), None
            session = current.session
            if span.ended is not None or session is None or session.id != entry.session:
                return (), span.held or None
            seen = session.seen_ready(opened_at or span.began) if opened_at or not session.ready_at else session
            held = provisional(seen, price, began=span.began, ended=ended)
            after = replace(span, ended=ended, held=held)
            return (current.write(seen.left(span.record, ended)), spanning(session.id, after, found)), held

        held = await self.swap(backend, decided)
        return {} if held is None else {share_name(backend.name, entry.session): SessionShare(lines=dollars(held))}

    async def give_up(self, backend: Backend, entry: SessionEntry) -> None:
        """Take part no more and pay nothing: the machine was never asked, or refused at its door."""

        async def decided(current: CurrentSession) -> tuple[Sequence[Operation], None]:
            key, name = backend_key(backend), span_id(entry.session, entry.record)
            found = await self.store.read(key, name)
            session = current.session
            if found is None or SessionSpan.from_document(found.body).run != entry.run:
                return (), None
            if session is None or session.id != entry.session or entry.record not in session.running:
                return (), None
            return (self.smaller(current, session, entry.record), Delete(id=name, etag=found.etag)), None

        await self.swap(backend, decided)

    def smaller(self, current: CurrentSession, session: GpuSession, record: str) -> Operation:
        """Write a session without one of its members; without any it has never been."""
        waker = "" if session.waker == record else session.waker
        left = replace(session.without(record), members=session.members - 1, waker=waker)
        return current.write(left) if left.members else Delete(id=SESSION_ID, etag=current.etag)

    async def entry_of(self, backend: Backend, record: str) -> SessionEntry | None:
        """Return the last run of an attempt, if it took part in the session of now."""
        session = (await self.current(backend)).session
        if session is None:
            return None
        found = await self.store.read(backend_key(backend), span_id(session.id, record))
        if found is None:
            return None
        run = SessionSpan.from_document(found.body).run
        return SessionEntry(session=session.id, record=record, run=run, worst=Decimal(0))

    async def warm_up(self, backend: Backend, owner: Owner, response_id: str, *, cold_s: float, worst_s: float) -> bool:
        """Take part with a wake that is sent now, and charge who sends it; False where no budget covers it.

        A start takes so many seconds as expected, and at worst. Where the session of now is not over the wake is a
        request of no length in it: its machine is still there, or counts as if it were.
        """
        price = self.price(backend)
        if price is None:
            return True
        wake = self.ledger.warm_up_record(owner, response_id, backend)

        async def decided(current: CurrentSession) -> tuple[Sequence[Operation], tuple[str, Nanos] | None]:
            now = self.clock.now()
            there, closing = self.session_at(backend, price, current, now, cold_s=cold_s)
            found = await self.store.read(backend_key(backend), span_id(there.id, wake.id))
            if found or there.running:
                return (), (there.id, SessionSpan.from_document(found.body).held) if found else None
            span = begun(owner, wake, None, now)
            if there.members:
                held = provisional(there, price, began=now, ended=now)
                after, span = there.left(span.record, now), replace(span, ended=now, held=held)
            else:
                held = provisional_warm_up(price, worst_s)
                after, span = replace(there, waker=wake.id), replace(span, wake=True, held=held)
            after = replace(after, members=after.members + 1)
            return (current.write(after), spanning(there.id, span, None), *closing), (there.id, held)

        part = await self.swap(backend, decided)
        return part is None or await self.is_covered(backend, owner, response_id, *part)

    async def is_covered(self, backend: Backend, owner: Owner, response_id: str, session: str, held: Nanos) -> bool:
        share = SessionShare(lines=dollars(held))
        try:
            await self.ledger.reserve_warm_up(owner, response_id, backend, share_name(backend.name, session), share)
        except Exhausted as error:
            log.warning("%s is not woken: %s", backend.name, error)
            await self.remove_warm_up(backend, session, self.ledger.warm_up_record(owner, response_id, backend).id)
            return False
        return True

    async def cancel_warm_up(self, backend: Backend, owner: Owner, response_id: str) -> None:
        """Charge nothing for a wake that the backend refused, or that was not sent: no machine lived for it."""
        session = (await self.current(backend)).session
        wake = self.ledger.warm_up_record(owner, response_id, backend)
        if self.price(backend) is None or session is None or session.waker != wake.id:
            return
        await self.ledger.post_share(
            owner, wake.id, share_name(backend.name, session.id), SessionShare(lines={}, final=True)
        )
        await self.remove_warm_up(backend, session.id, wake.id)

    async def remove_warm_up(self, backend: Backend, session: str, record: str) -> None:
        """Let a wake that was never sent be none."""

        async def decided(current: CurrentSession) -> tuple[Sequence[Operation], None]:
            there = current.session
            if there is None or there.id != session:
                return (), None
            return (self.smaller(current, there, record), Delete(id=span_id(session, record))), None

        await self.swap(backend, decided)

    async def record_ready(self, backend: Backend, at: float) -> None:
        """Note that the machine was seen to let a request in."""

        async def decided(current: CurrentSession) -> tuple[Sequence[Operation], None]:
            session = current.session
            return ((current.write(session.touched(at)),) if session else ()), None

        if self.price(backend):
            await self.swap(backend, decided)

    def session_at(
        self, backend: Backend, price: TimePrice, current: CurrentSession, now: float, *, cold_s: float
    ) -> tuple[GpuSession, Sequence[Operation]]:
        """Return the session that a request of now takes part in, and what closes the one before it."""
        there = current.session
        if there and not there.over(price.idle_s, now):
            return there, ()
        return self.fresh(backend, now, cold_s=cold_s), self.closed(there) if there else ()

    def fresh(self, backend: Backend, now: float, *, cold_s: float) -> GpuSession:
        name = f"{round(now * 1000):015d}{self.clock.token()[-8:]}"
        return GpuSession(id=name, backend=backend.name, price=backend.price.name, started=now, ends=now, cold_s=cold_s)

    def closed(self, session: GpuSession) -> Sequence[Operation]:
        """Keep a session as it was; what its members pay is posted later."""
        return (Create(id=closed_id(session.id), body=session.to_document(CLOSING)),)

    async def swap[T](
        self, backend: Backend, decide: Callable[[CurrentSession], Awaitable[tuple[Sequence[Operation], T]]]
    ) -> T:
        """Do what is decided on the session as it stands, anew while others change it."""
        async with self.locks[backend.name]:
            while True:
                operations, result = await decide(await self.current(backend))
                if not operations:
                    return result
                try:
                    await self.store.commit(backend_key(backend), operations)
                except Conflict:
                    await self.clock.sleep(self.clock.fraction() * PAUSE_S)
                else:
                    return result

    async def current(self, backend: Backend) -> CurrentSession:
        found = await self.store.read(backend_key(backend), SESSION_ID)
        return (
            CurrentSession(session=GpuSession.from_document(found.body), etag=found.etag)
            if found
            else CurrentSession(session=None)
        )


def worst_of(session: GpuSession, backend: Backend, price: TimePrice, *, now: float, limit_s: float) -> Decimal:
    """Return the most that a request of now may be charged when it leaves, in dollars."""
    slow = replace(session, cold_s=max(session.cold_s, backend.cold_start.p99_s))
    part = provisional(slow, price, began=now, ended=max(now, slow.ready) + limit_s)
    return sum(dollars(part).values(), Decimal(0))


def begun(owner: Owner, attempt: AttemptRecord, found: Document | None, now: float) -> SessionSpan:
    """Return the span of an attempt that runs from now on; one that runs again began when it first did."""
    if found:
        before = SessionSpan.from_document(found.body)
        return replace(before, ended=None, run=before.run + 1)
    return SessionSpan(
        record=attempt.id, tenant=owner.tenant, subject=owner.subject, response=attempt.response, began=now, run=1
    )


def spanning(session: str, span: SessionSpan, found: Document | None) -> Operation:
    name, body = span_id(session, span.record), span.to_document()
    return Replace(id=name, body=body, etag=found.etag) if found else Create(id=name, body=body)


def share_name(backend: str, session: str) -> str:
    """Return the name under which records have their share of a session."""
    return f"{backend}/{session}"


def span_prefix(session: str) -> str:
    return f"span_{session}_"


def span_id(session: str, record: str) -> str:
    return f"{span_prefix(session)}{record}"


def closed_id(session: str) -> str:
    return f"closed_{session}"

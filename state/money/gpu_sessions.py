"""How is the current GPU session of a backend stored, and changed by many requests at once?

The session is one document beside the backend's state; each attempt or warm-up that takes part has a span. Both change
in one batch, under compare-and-swap, as `domain.money.session_transitions` decides. A session that is over is copied
under another id, where nothing changes it any more, and `gpu_session_billing` posts what each member pays. Every step
is safe to repeat; after a crash the sweep completes it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.port import Create, Delete, Document, DocumentStore, Operation, Replace
from domain.errors import Exhausted
from domain.fleet.catalog import Backend
from domain.identity.owners import Owner
from domain.money.gpu_sessions import GpuSession, SessionSpan
from domain.money.ledger_records import AttemptRecord, SessionShare
from domain.money.prices import TimePrice
from domain.money.provisional_charges import dollars
from domain.money.session_transitions import (
    EntryTerms,
    SessionEntry,
    SessionTransition,
    WarmUpCharge,
    entered,
    given_up,
    left,
    warm_up_removed,
    warmed_up,
)
from state.fleet.backend_state import backend_key
from state.money.ledger import Ledger

log = logging.getLogger(__name__)

SESSION_ID = "session"
OPEN, CLOSING = "open", "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """The current session of a backend, if there is one, with the etag of its document."""

    session: GpuSession | None = None
    etag: str = ""

    def with_id(self, session_id: str) -> GpuSession | None:
        """Return the session where it is still the one of this id."""
        return self.session if self.session and self.session.id == session_id else None

    def write(self, session: GpuSession) -> Operation:
        if not session.members:
            return Delete(id=SESSION_ID, etag=self.etag)
        body = session.to_document(OPEN)
        return Replace(id=SESSION_ID, body=body, etag=self.etag) if self.etag else Create(id=SESSION_ID, body=body)


class GpuSessions:
    """The current sessions of the backends that scale to zero and are paid by time; other backends have none."""

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

        The attempt may run for `limit_s` seconds. A redelivery counts as another run of it.
        """
        price = self.price(backend)
        if price is None:
            return None
        start = backend.cold_start
        terms = EntryTerms(price=price, start_s=start.p99_s, limit_s=limit_s)

        def decide(session: GpuSession, span: SessionSpan | None, now: float) -> SessionTransition[SessionEntry]:
            return entered(session, span, member=new_span(owner, attempt, now), terms=terms, now=now)

        return await self.join(backend, price, attempt.id, decide, cold_s=start.p50_s)

    async def leave(
        self, backend: Backend, entry: SessionEntry, *, ended: float, opened_at: float | None = None
    ) -> Mapping[str, SessionShare]:
        """Take part no more; return what the run is charged until the session is closed, by the name of the share.

        Nothing is returned where a later run has replaced this one, or the session continued without it.
        """
        price = self.price(backend)
        if price is None:
            return {}
        decide = partial(left, run=entry.run, price=price, ended=ended, opened_at=opened_at)
        amounts = await self.change(backend, entry.session, entry.record, decide)
        return (
            {} if amounts is None else {share_name(backend.name, entry.session): SessionShare(lines=dollars(amounts))}
        )

    async def give_up(self, backend: Backend, entry: SessionEntry) -> None:
        """Take part no more and pay nothing: the request was never sent, or the backend rejected it at once."""
        await self.change(backend, entry.session, entry.record, partial(given_up, run=entry.run))

    async def entry_of(self, backend: Backend, record: str) -> SessionEntry | None:
        """Return the last run of an attempt, if it takes part in the current session."""
        session = (await self.current(backend)).session
        if session is None:
            return None
        found = await self.store.read(backend_key(backend), span_id(session.id, record))
        if found is None:
            return None
        run = SessionSpan.from_document(found.body).run
        return SessionEntry(session=session.id, record=record, run=run, worst=Decimal(0))

    async def warm_up(self, backend: Backend, owner: Owner, response_id: str, *, cold_s: float, worst_s: float) -> bool:
        """Take part with a warm-up that is sent now, and charge its sender; False where no budget covers it.

        A start takes `cold_s` seconds as expected, and `worst_s` at worst.
        """
        price = self.price(backend)
        if price is None:
            return True
        record = self.ledger.warm_up_record(owner, response_id, backend)

        def decide(session: GpuSession, span: SessionSpan | None, now: float) -> SessionTransition[WarmUpCharge | None]:
            member = new_span(owner, record, now)
            return warmed_up(session, span, member=member, price=price, worst_s=worst_s, now=now)

        charge = await self.join(backend, price, record.id, decide, cold_s=cold_s)
        return charge is None or await self.is_covered(backend, owner, response_id, charge)

    async def is_covered(self, backend: Backend, owner: Owner, response_id: str, charge: WarmUpCharge) -> bool:
        share = SessionShare(lines=dollars(charge.amounts))
        name = share_name(backend.name, charge.session)
        try:
            await self.ledger.reserve_warm_up(owner, response_id, backend, name, share)
        except Exhausted as error:
            log.warning("no warm-up of %s: %s", backend.name, error)
            record = self.ledger.warm_up_record(owner, response_id, backend)
            await self.change(backend, charge.session, record.id, warm_up_removed)
            return False
        return True

    async def cancel_warm_up(self, backend: Backend, owner: Owner, response_id: str) -> None:
        """Charge nothing for a warm-up that the backend rejected, or that was not sent: it started no machine."""
        session = (await self.current(backend)).session
        record = self.ledger.warm_up_record(owner, response_id, backend)
        if self.price(backend) is None or session is None or session.waker != record.id:
            return
        nothing = SessionShare(lines={}, final=True)
        await self.ledger.post_share(owner, record.id, share_name(backend.name, session.id), nothing)
        await self.change(backend, session.id, record.id, warm_up_removed)

    async def record_ready(self, backend: Backend, at: float) -> None:
        """Record that the machine accepted a request."""

        async def step() -> None:
            current = await self.current(backend)
            if current.session:
                await self.store.commit(backend_key(backend), (current.write(current.session.touched(at)),))

        if self.price(backend):
            await self.swap(backend, step)

    async def join[T](
        self,
        backend: Backend,
        price: TimePrice,
        record: str,
        decide: Callable[[GpuSession, SessionSpan | None, float], SessionTransition[T]],
        *,
        cold_s: float,
    ) -> T:
        """Change the session that a request of now takes part in: the current one, or a new one where that is over."""

        async def step() -> T:
            current, now = await self.current(backend), self.clock.now()
            session = current.session
            closing: Sequence[Operation] = ()
            if session is None or session.over(price.idle_s, now):
                closing = (closing_copy(session),) if session else ()
                session = self.new_session(backend, now, cold_s=cold_s)
            found = await self.store.read(backend_key(backend), span_id(session.id, record))
            transition = decide(session, span_of(found), now)
            await self.commit(backend, operations_of(transition, current, span_id(session.id, record), found), closing)
            return transition.result

        return await self.swap(backend, step)

    async def change[T](
        self,
        backend: Backend,
        session_id: str,
        record: str,
        decide: Callable[[GpuSession | None, SessionSpan | None], SessionTransition[T]],
    ) -> T:
        """Change a session that a member has entered; `decide` gets no session where it is the current one no more."""

        async def step() -> T:
            current = await self.current(backend)
            found = await self.store.read(backend_key(backend), span_id(session_id, record))
            transition = decide(current.with_id(session_id), span_of(found))
            await self.commit(backend, operations_of(transition, current, span_id(session_id, record), found))
            return transition.result

        return await self.swap(backend, step)

    def new_session(self, backend: Backend, now: float, *, cold_s: float) -> GpuSession:
        name = f"{round(now * 1000):015d}{self.clock.token()[-8:]}"
        return GpuSession(id=name, backend=backend.name, price=backend.price.name, started=now, ends=now, cold_s=cold_s)

    async def swap[T](self, backend: Backend, step: Callable[[], Awaitable[T]]) -> T:
        """Run a step under compare-and-swap; within one process, steps of one backend wait for each other."""
        async with self.locks[backend.name]:
            return await compare_and_swap(self.clock, step)

    async def commit(self, backend: Backend, changes: Sequence[Operation], closing: Sequence[Operation] = ()) -> None:
        if changes:
            await self.store.commit(backend_key(backend), (*changes, *closing))

    async def current(self, backend: Backend) -> StoredSession:
        found = await self.store.read(backend_key(backend), SESSION_ID)
        return (
            StoredSession(session=GpuSession.from_document(found.body), etag=found.etag) if found else StoredSession()
        )


def operations_of[T](
    transition: SessionTransition[T], current: StoredSession, span: str, found: Document | None
) -> Sequence[Operation]:
    """Return what writes a transition; `span` is the id of the member's span, `found` its stored document."""
    operations: list[Operation] = []
    if transition.session:
        operations.append(current.write(transition.session))
    if transition.span:
        body = transition.span.to_document()
        operations.append(Replace(id=span, body=body, etag=found.etag) if found else Create(id=span, body=body))
    if transition.removes_span and found:
        operations.append(Delete(id=span, etag=found.etag))
    return operations


def new_span(owner: Owner, attempt: AttemptRecord, now: float) -> SessionSpan:
    return SessionSpan(
        record=attempt.id, tenant=owner.tenant, subject=owner.subject, response=attempt.response, began=now, run=1
    )


def span_of(found: Document | None) -> SessionSpan | None:
    return SessionSpan.from_document(found.body) if found else None


def closing_copy(session: GpuSession) -> Create:
    """Return the copy of a session that is over; what its members pay is posted later."""
    return Create(id=closed_id(session.id), body=session.to_document(CLOSING))


def share_name(backend: str, session: str) -> str:
    """Return the name under which records keep their share of a session."""
    return f"{backend}/{session}"


def span_prefix(session: str) -> str:
    return f"span_{session}_"


def span_id(session: str, record: str) -> str:
    return f"{span_prefix(session)}{record}"


def closed_id(session: str) -> str:
    return f"closed_{session}"

"""How is the current GPU session of a backend stored, and changed by many requests at once?

Each instance of a backend that has several has sessions of its own (`domain.fleet.instances.numbered`).
Each attempt or warm-up that takes part in a session has a span. The session and the span change in one batch, under
compare-and-swap, as `domain.money.sessions.transitions` decides. A session that is over is copied under another id,
where nothing changes it any more, and `gpu_session_billing` posts what each member pays. Every step is safe to repeat;
after a crash the sweep completes it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import replace
from decimal import Decimal
from functools import partial
from typing import cast

from clients.clock import Clock
from clients.storage.port import DocumentStore
from domain.errors import Exhausted, Retryable
from domain.fleet.catalog import Backend
from domain.fleet.instances.held_backend import held
from domain.fleet.instances.numbered import instance, instances_of, whole
from domain.fleet.instances.scaling import Scaling
from domain.identity.owners import Owner
from domain.money.attempt_charge import SessionShare
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.placing import FIRST, is_full, placing
from domain.money.sessions.provisional_charges import dollars
from domain.money.sessions.transitions import (
    NO_ATTEMPT,
    EntryTerms,
    FollowingAttempt,
    SessionEntry,
    SessionTransition,
    WarmUpCharge,
    begun,
    entered,
    given_up,
    left,
    stopped,
    warm_up_removed,
    warmed_up,
)
from state.fleet.state_documents import backend_key
from state.money.ledger import Ledger
from state.money.session_changes import NewSessions, SessionChange, SessionChanges
from state.money.session_documents import StoredSession, read_session, share_name, span_id

log = logging.getLogger(__name__)

FREE = "free"
NOTHING = SessionShare(lines={}, final=True)
"""What a warm-up of a backend costs that is not paid by time: its record shows that it was sent."""


class GpuSessions:
    """The current sessions of the backends that scale to zero and are paid by time; other backends have none."""

    def __init__(self, *, store: DocumentStore, ledger: Ledger, clock: Clock) -> None:
        self.store = store
        self.ledger = ledger
        self.clock = clock
        self.changes = SessionChanges(store, clock)

    def price(self, backend: Backend) -> TimePrice | None:
        """Return the price of a backend whose time is paid in sessions."""
        price = held(backend).price
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
        terms = EntryTerms(price=price, start_s=backend.cold_start.p99_s, limit_s=limit_s)

        def decide(session: GpuSession, span: SessionSpan | None, now: float) -> SessionTransition[SessionEntry]:
            return entered(session, span, member=new_span(owner, attempt, now), terms=terms, now=now)

        if backend.max_instances > 1:
            return await self.enter_one_of(backend, price, attempt.id, decide)
        return await self.join(backend, price, attempt.id, decide, cold_s=backend.cold_start.p50_s)

    async def enter_one_of(
        self,
        backend: Backend,
        price: TimePrice,
        record: str,
        decide: Callable[[GpuSession, SessionSpan | None, float], SessionTransition[SessionEntry]],
    ) -> SessionEntry:
        """Take part in the session of the first instance with room, or in that of the attempt's last run.

        Where the product counts the instances, only the session of the first one begins with a request.
        """
        sessions = [each.session for each in await self.all_current(backend)]
        known = await self.instance_of(backend, sessions, record)
        is_held, now, cold_s = backend.scaling is not Scaling.PROVIDER, self.clock.now(), backend.cold_start.p50_s
        places = placing(sessions, idle_s=price.idle_s, now=now, is_held=is_held)

        def with_room(
            session: GpuSession | None, span: SessionSpan | None, at: float = now
        ) -> SessionTransition[SessionEntry | None]:
            if session is None or is_full(session, span, backend.limits.concurrency):
                return SessionTransition(result=None)
            found = decide(session, span, at)
            return SessionTransition(session=found.session, span=found.span, result=found.result)

        for number in places.tried if known is None else (known,):
            one, opened = instance(backend, number), sessions[number]
            if is_held and number and opened:
                entry = await self.change(one, opened.id, record, with_room)
            else:
                entry = await self.join(one, price, record, with_room, cold_s=cold_s)
            if entry:
                return replace(entry, instance=number)
        number = places.beyond_room(record) if known is None else FIRST
        entry = await self.join(instance(backend, number), price, record, decide, cold_s=cold_s)
        return replace(entry, instance=number)

    async def instance_of(self, backend: Backend, sessions: Sequence[GpuSession | None], record: str) -> int | None:
        """Return the number of the instance in whose session a record has a span."""
        known = {number: each.id for number, each in enumerate(sessions) if each}
        keys = [(backend_key(instance(backend, number)), span_id(name, record)) for number, name in known.items()]
        found = await asyncio.gather(*(self.store.read(key, identifier) for key, identifier in keys))
        return next((number for number, each in zip(known, found, strict=True) if each), None)

    async def all_current(self, backend: Backend) -> Sequence[StoredSession]:
        """Return the current session of each instance, in the order of their numbers."""
        return await asyncio.gather(*(self.current(each) for each in instances_of(backend)))

    async def leave(
        self, backend: Backend, entry: SessionEntry, *, ended: float, opened_at: float | None = None
    ) -> Mapping[str, SessionShare]:
        """Take part no more; return what the run is charged until the session is closed, by the name of the share.

        Nothing is returned where a later run has replaced this one, or the session continued without it.
        """
        price = self.price(backend)
        if price is None:
            return {}
        one, is_further = instance(backend, entry.instance), entry.instance > 0
        decide = partial(left, run=entry.run, price=price, ended=ended, opened_at=opened_at, is_further=is_further)
        amounts = await self.change(one, entry.session, entry.record, decide)
        if amounts is None:
            return {}
        return {share_of(backend, entry): SessionShare(lines=dollars(amounts))}

    async def give_up(self, backend: Backend, entry: SessionEntry) -> None:
        """Take part no more and pay nothing: the request was never sent, or the backend rejected it at once."""
        one = instance(backend, entry.instance)
        await self.change(one, entry.session, entry.record, partial(given_up, run=entry.run))

    async def entry_of(self, backend: Backend, record: str) -> SessionEntry | None:
        """Return the last run of an attempt, if it takes part in a current session."""
        sessions = [each.session for each in await self.all_current(backend)]
        for number, session in enumerate(sessions):
            key = backend_key(instance(backend, number))
            found = await self.store.read(key, span_id(session.id, record)) if session else None
            if session and found:
                run = found.read_as(SessionSpan.from_document).run
                return SessionEntry(session=session.id, record=record, run=run, worst=Decimal(0), instance=number)
        return None

    async def warm_up(
        self,
        backend: Backend,
        owner: Owner,
        response_id: str,
        *,
        cold_s: float,
        worst_s: float,
        following: FollowingAttempt = NO_ATTEMPT,
    ) -> bool:
        """Take part with a warm-up that is sent now, and charge its sender; False where no budget covers it.

        A start takes `cold_s` seconds as expected, and `worst_s` at worst. Budgets keep room for the attempt after it.
        `backend` may be one of several instances.
        """
        price, record = self.price(backend), await self.ledger.warm_up_record(owner, response_id, whole(backend))
        if price is None:
            with suppress(Retryable):
                await self.ledger.post_share(owner, record.id, share_name(backend.name, FREE), NOTHING, record)
            return True

        def decide(session: GpuSession, span: SessionSpan | None, now: float) -> SessionTransition[WarmUpCharge | None]:
            return warmed_up(session, span, member=new_span(owner, record, now), price=price, worst_s=worst_s, now=now)

        if (charge := await self.join(backend, price, record.id, decide, cold_s=cold_s)) is None:
            return True
        beside = following.beside(sum(dollars(charge.amounts).values(), Decimal(0)))
        return await self.is_covered(backend, owner, response_id, charge, beside=beside)

    async def is_covered(
        self, backend: Backend, owner: Owner, response_id: str, charge: WarmUpCharge, *, beside: Decimal
    ) -> bool:
        share = SessionShare(lines=dollars(charge.amounts))
        name = share_name(backend.name, charge.session)
        try:
            await self.ledger.reserve_warm_up(owner, response_id, whole(backend), name, share, beside=beside)
        except Exhausted as error:
            log.warning("%s is not warmed up, because its cost cannot be reserved: %s", backend.name, error)
            record = await self.ledger.warm_up_record(owner, response_id, whole(backend))
            await self.change(backend, charge.session, record.id, warm_up_removed)
            return False
        return True

    async def cancel_warm_up(self, backend: Backend, owner: Owner, response_id: str) -> None:
        """Charge nothing for a warm-up that the backend rejected, or that was not sent: it started no machine."""
        session = (await self.current(backend)).session
        record = await self.ledger.warm_up_record(owner, response_id, whole(backend))
        if self.price(backend) is None or session is None or session.warm_up_record != record.id:
            return
        await self.ledger.post_share(owner, record.id, share_name(backend.name, session.id), NOTHING)
        await self.change(backend, session.id, record.id, warm_up_removed)

    async def record_ready(self, backend: Backend, at: float) -> None:
        """Record that the machine accepted a request."""

        def decide(session: GpuSession | None, _span: SessionSpan | None, _now: float) -> SessionTransition[None]:
            return SessionTransition(session=session and session.with_instant_request(at), result=None)

        if self.price(backend):
            await self.changes.commit(backend, SessionChange(decide=decide))

    async def record_begun(self, backend: Backend, at: float) -> None:
        """Record that the machine was started now: later than its warm-up was charged."""
        if self.price(backend):
            await self.changes.commit(backend, SessionChange(decide=lambda session, _span, _now: begun(session, at=at)))

    async def record_stopped(self, backend: Backend, at: float) -> None:
        """Record that the product has ended the machine."""
        if self.price(backend):
            change = SessionChange(decide=lambda session, _span, _now: stopped(session, at=at))
            await self.changes.commit(backend, change)

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

        def decided(session: GpuSession | None, span: SessionSpan | None, now: float) -> SessionTransition[T]:
            return decide(cast("GpuSession", session), span, now)  # a request of now always has a session

        is_held = backend.scaling is not Scaling.PROVIDER
        new = NewSessions(idle_s=price.idle_s, cold_s=cold_s, is_held=is_held)
        return await self.changes.commit(backend, SessionChange(decide=decided, record=record, new=new))

    async def change[T](
        self,
        backend: Backend,
        session_id: str,
        record: str,
        decide: Callable[[GpuSession | None, SessionSpan | None], SessionTransition[T]],
    ) -> T:
        """Change a session that a member has entered; `decide` gets no session where it is the current one no more."""

        def decided(session: GpuSession | None, span: SessionSpan | None, _now: float) -> SessionTransition[T]:
            return decide(session, span)

        return await self.changes.commit(backend, SessionChange(decide=decided, record=record, session=session_id))

    async def current(self, backend: Backend) -> StoredSession:
        return await read_session(self.store, backend_key(backend))


def share_of(backend: Backend, entry: SessionEntry) -> str:
    """Return the name under which a record keeps its share of the session that it has entered."""
    return share_name(instance(backend, entry.instance).name, entry.session)


def new_span(owner: Owner, attempt: AttemptRecord, now: float) -> SessionSpan:
    return SessionSpan(
        record=attempt.id, tenant=owner.tenant, subject=owner.subject, response=attempt.response, began=now, run=1
    )

"""How is a finished GPU session closed, and how is each member's share posted to its tenant?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from copy import replace
from decimal import Decimal

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged
from clients.storage.damage import read_or_none, readable, report
from clients.storage.keys import money_key
from clients.storage.paging import list_all, write_batches
from clients.storage.port import (
    OPERATIONS_LIMIT,
    SWEEP_LIMIT,
    Container,
    Delete,
    Document,
    DocumentKey,
    DocumentStore,
    FoundDocument,
    Operation,
    Replace,
)
from domain.errors import DamagedRecord
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.numbered import backend_of, instances_of, is_inferred
from domain.fleet.instances.scaling import Scaling
from domain.identity.owners import Owner
from domain.money.attempt_charge import SessionShare
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import Price, TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan, session_cost, shares
from domain.money.sessions.provisional_charges import dollars, revised_charges
from domain.money.sessions.work_times import WorkTime, work_times
from state.fleet.state_documents import backend_key
from state.money.ledger import Ledger
from state.money.session_documents import (
    CLOSING,
    MAX_PARTS,
    OPEN,
    SessionDraft,
    StoredSession,
    closed_id,
    read_session,
    share_name,
    span_id,
    span_prefix,
)
from telemetry.turn_metrics import count_session_cost, count_unused_warm_up

CLOSED = "closed"
WORK = "work"
KEPT_S = 400 * 86_400
"""How long a closed session is kept: as long as usage reports reach back."""

KIND = "session"

REVIEW_S = 900
"""How often an open session is reviewed."""

MAX_REVIEWED = 20_000
"""A session with more members is no longer reviewed."""

MANY = 500
"""The shares of more members are computed in a thread: that takes seconds, and would block the event loop."""

MAX_REMOVED = OPERATIONS_LIMIT - 2 - MAX_PARTS
"""How many spans one commit can remove beside the session and its parts."""


class GpuSessionBilling:
    """Closes and bills sessions for the sweep. Every step is safe to repeat, and to run twice at once."""

    def __init__(
        self, *, store: DocumentStore, ledger: Ledger, fleet: Fleet, prices: Mapping[str, Price], clock: Clock
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.fleet = fleet
        self.prices = prices
        self.clock = clock
        self.reviewed_at: dict[str, float] = {}

    async def finished_sessions(self) -> Sequence[FoundDocument]:
        """Return the open sessions of all backends that are over, apart from attempts whose end was not recorded."""
        now = self.clock.now()
        found = await self.store.find(Container.FLEET, kind=KIND, status=OPEN, before=now, limit=SWEEP_LIMIT)
        sessions = ((each, read_or_none(each.document, session_of)) for each in found)
        over = [each for each, session in sessions if session and self.is_finished(session, now)]
        wholes = await asyncio.gather(*(self.readable_whole(each) for each in over))
        return [each for each, whole in zip(over, wholes, strict=True) if whole and self.is_finished(whole, now)]

    async def whole(self, found: FoundDocument) -> GpuSession | None:
        """Return the open session with the parts of all processes; None where it is gone."""
        identifier = found.document.read_as(GpuSession.from_document).id
        stored = await read_session(self.store, found.key)
        if stored.unmarked:
            await commit_if_unchanged(self.store, found.key, SessionDraft(stored, stored.holder).operations())
        return stored.with_id(identifier)

    async def readable_whole(self, found: FoundDocument) -> GpuSession | None:
        """Return the same; None where a document of it is damaged: the sessions of other backends are billed."""
        try:
            return await self.whole(found)
        except DamagedRecord as damage:
            report(damage)
            return None

    def is_finished(self, session: GpuSession, now: float) -> bool:
        price, backend = self.price(session), self.fleet.backends.get(backend_of(session.backend))
        is_held = backend is not None and backend.scaling is not Scaling.PROVIDER
        return price is not None and replace(session, running={}).is_over(price.idle_s, now, is_held=is_held)

    async def sessions_to_review(self) -> Sequence[FoundDocument]:
        """Return the open sessions of all backends that were not reviewed for `REVIEW_S` seconds."""
        now = self.clock.now()
        found = await self.store.find(Container.FLEET, kind=KIND, status=OPEN, before=now - REVIEW_S, limit=SWEEP_LIMIT)
        sessions = ((each, read_or_none(each.document, session_of)) for each in found)
        return [each for each, one in sessions if one and self.reviewed_at.get(one.id, 0.0) <= now - REVIEW_S]

    async def review(self, found: FoundDocument) -> None:
        """Lower the provisional charges of an open session's members, as far as their shares are known already."""
        session, now = await self.whole(found), self.clock.now()
        price = self.price(session) if session else None
        if session is None:
            return
        self.reviewed_at[session.id] = now
        if price is None or session.members > MAX_REVIEWED:
            return
        documents = await list_all(self.store, found.key, prefix=span_prefix(session.id))
        spans = {span.record: span for span in (each.read_as(SessionSpan.from_document) for each in documents)}
        known = list(spans.values())
        parts = await computed(known, lambda: revised_charges(session, known, price, now))
        for record, part in parts.items():
            if sum(part.values()) < sum(spans[record].provisional.values()):
                await self.post_share(session, spans[record], SessionShare(lines=dollars(part)))

    async def unposted_sessions(self) -> Sequence[FoundDocument]:
        now = self.clock.now()
        return await self.store.find(Container.FLEET, kind=KIND, status=CLOSING, before=now, limit=SWEEP_LIMIT)

    async def close(self, found: FoundDocument) -> None:
        """Replace a finished session by a copy that nothing changes; the next request begins another session.

        An attempt whose record is closed although it never left is removed: it pays its reserved amount. Where one
        commit cannot remove them all, the next sweep continues.
        """
        stored = await read_session(self.store, found.key)
        session = stored.with_id(found.document.read_as(GpuSession.from_document).id)
        if session is None or not self.is_finished(session, self.clock.now()):
            return
        gone = [name for name, tenant in session.running.items() if await self.is_attempt_closed(tenant, name)]
        if len(gone) < len(session.running):
            return
        spans = [Delete(id=span_id(session.id, name)) for name in gone[:MAX_REMOVED]]
        changes = removal_operations(stored, session, gone[:MAX_REMOVED])
        await commit_if_unchanged(self.store, found.key, (*changes, *spans))

    async def is_attempt_closed(self, tenant: str, record: str) -> bool:
        found = await self.store.read(money_key(tenant), record)
        return found is None or not found.read_as(AttemptRecord.from_document).is_open

    async def post(self, found: FoundDocument) -> None:
        """Post each member's final share of a closed session, then delete the spans."""
        session = found.document.read_as(GpuSession.from_document)
        price = self.price(session)
        if price is None:
            return
        documents = await list_all(self.store, found.key, prefix=span_prefix(session.id))
        spans = [each.read_as(SessionSpan.from_document) for each in documents]
        paid = await computed(spans, lambda: shares(session, spans, price))
        unused = all(span.is_warm_up for span in spans)
        for span in spans:
            lines, inferred = dollars(paid[span.record]), self.is_estimate(session)
            share = SessionShare(lines=lines, final=True, unused=unused, is_estimate=inferred)
            await self.post_share(session, span, share)
        await write_batches(self.store, found.key, [Delete(id=each.id) for each in documents])
        work = work_times(session, spans, session.expiry(price.idle_s))
        if await self.mark_closed(found.key, found.document, session, price, work):
            count_closed(session, spans, {record: dollars(part) for record, part in paid.items()})

    async def post_share(self, session: GpuSession, span: SessionSpan, share: SessionShare) -> None:
        owner = Owner(tenant=span.tenant, subject=span.subject)
        backend = self.fleet.backends.get(backend_of(session.backend))
        record = None
        if span.is_warm_up and backend:
            record = await self.ledger.warm_up_record(owner, span.response, backend)
        await self.ledger.post_share(owner, span.record, share_name(session.backend, session.id), share, record)

    async def mark_closed(
        self, key: DocumentKey, document: Document, session: GpuSession, price: TimePrice, work: Sequence[WorkTime]
    ) -> bool:
        """Return False where another sweep has closed it, or the session has changed."""
        now = self.clock.now()
        known = {WORK: [list(each) for each in work]} if work else {}
        body = {**session.to_document(CLOSED), "nanos": session_cost(session, price), "closed_at": now, **known}
        finished = Replace(id=document.id, body=body, etag=document.etag, expires_at=now + KEPT_S)
        return await commit_if_unchanged(self.store, key, (finished,))

    def price(self, session: GpuSession) -> TimePrice | None:
        price = self.prices.get(session.price)
        return price if isinstance(price, TimePrice) else None

    def is_estimate(self, session: GpuSession) -> bool:
        backend = self.fleet.backends.get(backend_of(session.backend))
        return backend is not None and is_inferred(backend)

    async def closed_sessions(self, backend: Backend) -> Sequence[GpuSession]:
        """Return the closed sessions of a backend, whether their shares are posted or not."""
        ids = [backend_key(each) for each in instances_of(backend)]
        documents = [each for key in ids for each in await list_all(self.store, key, prefix=closed_id(""))]
        return list(readable(documents, session_of))


def removal_operations(stored: StoredSession, session: GpuSession, gone: Sequence[str]) -> Sequence[Operation]:
    """Return what removes members that never left; it also closes the session where no member is left in it."""
    draft, left = SessionDraft(stored, stored.holder), session
    for name in gone:
        left = left.without_member(name)
    draft.change(replace(left, members=left.members - len(gone)))
    if not left.running:
        draft.close()
    return draft.operations()


def count_closed(session: GpuSession, spans: Sequence[SessionSpan], paid: Mapping[str, Mapping[str, Decimal]]) -> None:
    """Count the exact dollars of a closed session, and whether it served a turn."""
    served = any(not span.is_warm_up for span in spans)
    for span in spans:
        count_session_cost(span.tenant, paid[span.record], served=served)
    if spans and not served:
        count_unused_warm_up(backend_of(session.backend))


async def computed[T](spans: Sequence[SessionSpan], work: Callable[[], T]) -> T:
    """Compute on spans, in a thread where they are many."""
    return await asyncio.to_thread(work) if len(spans) > MANY else work()


def session_of(document: Document) -> GpuSession:
    return document.read_as(GpuSession.from_document)

"""How is a session that is over closed, and what its members pay posted to their tenants?"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from clients.clock import Clock
from clients.storage.paging import everything, write
from clients.storage.port import (
    LEFTOVERS,
    OPERATIONS_LIMIT,
    Container,
    Create,
    Delete,
    Document,
    DocumentKey,
    DocumentStore,
    FoundDocument,
    Operation,
    Replace,
)
from domain.errors import Conflict
from domain.fleet.catalog import Backend, Fleet
from domain.identity.owners import Owner
from domain.money.gpu_sessions import GpuSession, SessionSpan, shares, total
from domain.money.ledger_records import AttemptRecord, AttemptStatus, SessionShare
from domain.money.prices import Price, TimePrice
from domain.money.provisional_charges import dollars, reviewed
from state.fleet.backend_state import backend_key
from state.money.gpu_sessions import CLOSING, NOW, OPEN, closed_id, named, span_id, span_prefix
from state.money.ledger import Ledger, money_key

CLOSED = "closed"
KEPT_S = 400 * 86_400
"""A closed session is kept for as long as its days can be asked for."""

KIND = "session"

REVIEW_S = 900
MOST_REVIEWED = 20_000
"""So often a session that goes on is reviewed, while so many have taken part in it."""

MANY = 500
"""What more than so many pay is worked out in a thread: it takes seconds, and requests wait for the event loop."""

MOST_REMOVED = OPERATIONS_LIMIT - 2
"""A batch takes so many beside the session itself."""


class GpuSessionBilling:
    """The sweep's part of sessions. Every step is safe to repeat, and to be done twice at once."""

    def __init__(
        self, *, store: DocumentStore, ledger: Ledger, fleet: Fleet, prices: Mapping[str, Price], clock: Clock
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.fleet = fleet
        self.prices = prices
        self.clock = clock
        self.looked: dict[str, float] = {}

    async def over(self) -> Sequence[FoundDocument]:
        """Return the sessions, of all backends, that are open and would be over but for what never left."""
        now = self.clock.now()
        found = await self.store.find(Container.FLEET, kind=KIND, status=OPEN, before=now, limit=LEFTOVERS)
        return [each for each in found if self.is_over(GpuSession.from_document(each.document.body), now)]

    def is_over(self, session: GpuSession, now: float) -> bool:
        price = self.price(session)
        return price is not None and replace(session, running={}).over(price.idle_s, now)

    async def going_on(self) -> Sequence[FoundDocument]:
        """Return the sessions, of all backends, that have not been looked at for a while."""
        now = self.clock.now()
        found = await self.store.find(Container.FLEET, kind=KIND, status=OPEN, before=now - REVIEW_S, limit=LEFTOVERS)
        return [each for each in found if self.looked.get(each.document.body["id"], 0.0) <= now - REVIEW_S]

    async def review(self, found: FoundDocument) -> None:
        """Give back what members of a session that goes on were charged too much, as far as that is known already."""
        session, now = GpuSession.from_document(found.document.body), self.clock.now()
        self.looked[session.id] = now
        price = self.price(session)
        if price is None or session.members > MOST_REVIEWED:
            return
        documents = await everything(self.store, found.key, prefix=span_prefix(session.id))
        spans = {span.record: span for span in (SessionSpan.from_document(each.body) for each in documents)}
        known = list(spans.values())
        parts = await worked_out(known, lambda: reviewed(session, known, price, now))
        for record, part in parts.items():
            if sum(part.values()) < sum(spans[record].held.values()):
                await self.pay(session, spans[record], SessionShare(lines=dollars(part)))

    async def unposted(self) -> Sequence[FoundDocument]:
        now = self.clock.now()
        return await self.store.find(Container.FLEET, kind=KIND, status=CLOSING, before=now, limit=LEFTOVERS)

    async def close(self, found: FoundDocument) -> None:
        """Put a copy that nobody changes in the place of a session that is over; whoever enters begins another one.

        An attempt that never left and whose record is closed is not waited for: it pays what was held for it. Where
        there are more of those than a batch takes, the next sweep goes on.
        """
        session = GpuSession.from_document(found.document.body)
        gone = [name for name, tenant in session.running.items() if await self.is_closed(tenant, name)]
        if len(gone) < len(session.running):
            return
        removed = [Delete(id=span_id(session.id, name)) for name in gone[:MOST_REMOVED]]
        try:
            await self.store.commit(found.key, (*without(found, session, gone[:MOST_REMOVED]), *removed))
        except Conflict:
            return

    async def is_closed(self, tenant: str, record: str) -> bool:
        found = await self.store.read(money_key(tenant), record)
        return found is None or AttemptRecord.from_document(found.body).status is not AttemptStatus.OPEN

    async def post(self, found: FoundDocument) -> None:
        """Post what each member of a closed session pays, then forget its spans."""
        session = GpuSession.from_document(found.document.body)
        price = self.price(session)
        if price is None:
            return
        documents = await everything(self.store, found.key, prefix=span_prefix(session.id))
        spans = [SessionSpan.from_document(each.body) for each in documents]
        paid = await worked_out(spans, lambda: shares(session, spans, price))
        for span in spans:
            await self.pay(session, span, SessionShare(lines=dollars(paid[span.record]), final=True))
        await write(self.store, found.key, [Delete(id=each.id) for each in documents])
        await self.done(found.key, found.document, session, price)

    async def pay(self, session: GpuSession, span: SessionSpan, share: SessionShare) -> None:
        owner = Owner(tenant=span.tenant, subject=span.subject)
        backend = self.fleet.backends.get(session.backend)
        wake = self.ledger.warm_up_record(owner, span.response, backend) if span.wake and backend else None
        await self.ledger.post(owner, span.record, named(session.backend, session.id), share, wake)

    async def done(self, key: DocumentKey, document: Document, session: GpuSession, price: TimePrice) -> None:
        now = self.clock.now()
        body = {**session.to_document(CLOSED), "nanos": total(session, price), "closed_at": now}
        finished = Replace(id=document.id, body=body, etag=document.etag, expires_at=now + KEPT_S)
        try:
            await self.store.commit(key, (finished,))
        except Conflict:
            return

    def price(self, session: GpuSession) -> TimePrice | None:
        price = self.prices.get(session.price)
        return price if isinstance(price, TimePrice) else None

    async def closed(self, backend: Backend) -> Sequence[GpuSession]:
        """Return the sessions of a backend that are over, posted or not."""
        documents = await everything(self.store, backend_key(backend), prefix=closed_id(""))
        return [GpuSession.from_document(each.body) for each in documents]


def without(found: FoundDocument, session: GpuSession, gone: Sequence[str]) -> Sequence[Operation]:
    """Write a session without some who never left; closed, where nobody else is in it."""
    for name in gone:
        session = session.without(name)
    left = replace(session, members=session.members - len(gone))
    if left.running:
        return (Replace(id=NOW, body=left.to_document(OPEN), etag=found.document.etag),)
    copy = (Create(id=closed_id(left.id), body=left.to_document(CLOSING)),) if left.members else ()
    return (Delete(id=NOW, etag=found.document.etag), *copy)


async def worked_out[T](spans: Sequence[SessionSpan], work: Callable[[], T]) -> T:
    """Do a work on spans, beside the event loop where they are many."""
    return await asyncio.to_thread(work) if len(spans) > MANY else work()

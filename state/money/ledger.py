"""Where is the money of a turn kept, and how does each step stay safe to repeat?

Reservations, attempts and the counters of budgets share the partition [tenant]; a reservation's and an attempt's id
carry their response's, so that writing one twice is seen. An attempt's record and its budgets change in one batch.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

from clients.clock import Clock
from clients.storage.port import SWEEP_LIMIT, Body, Container, Create, Document, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict
from domain.fleet.catalog import Backend
from domain.identity.owners import Owner
from domain.money.budgets import Budgets
from domain.money.costing import BillLine
from domain.money.ledger_records import (
    NO_OVERHEAD,
    AttemptRecord,
    AttemptStatus,
    Reservation,
    ReservationStatus,
    SessionShare,
    attempt_prefix,
    opened_again,
    reservation_id,
    turn_cost,
    with_shares,
)
from domain.money.overheads import OverheadCost
from domain.money.usage import overhead_counts, overhead_row
from domain.turns.response import Response
from state.money.budget_counters import BudgetCounters


def money_key(tenant: str) -> DocumentKey:
    return DocumentKey(container=Container.MONEY, parts=(tenant,))


class Ledger:
    """Reserves before, records during and settles after a turn."""

    def __init__(self, store: DocumentStore, clock: Clock, budgets: Budgets) -> None:
        self.store = store
        self.clock = clock
        self.budget_counters = BudgetCounters(store, clock, budgets)

    async def reserve(self, owner: Owner, response_id: str, amount: Decimal) -> str:
        """Record the worst case of a turn's cost, in dollars, and that it is owed until the turn is settled.

        Safe to repeat; one that was released is open again. Raises Exhausted where a budget has no room for it; returns
        a warning where one is nearly used up.
        """
        warning = await self.budget_counters.check(owner, response_id, amount)
        key = money_key(owner.tenant)
        held = Reservation(response=response_id, subject=owner.subject, amount=amount, at=self.clock.now())

        def again(there: Body) -> Body | None:
            released = ReservationStatus(there["status"]) is ReservationStatus.RELEASED
            return held.to_document() if released else None

        try:
            await self.store.commit(key, (Create(id=held.id, body=held.to_document()),))
        except Conflict:
            await self.update_document(key, held.id, again)
        return warning

    async def reservation(self, owner: Owner, response_id: str) -> Reservation | None:
        found = await self.store.read(money_key(owner.tenant), reservation_id(response_id))
        return Reservation.from_document(found.body) if found else None

    async def open_attempt(self, owner: Owner, attempt: AttemptRecord) -> AttemptRecord:
        """Record that an attempt begins, and hold its worst case of every budget; raises Exhausted where one is short.

        A redelivery keeps the first start, counts itself and holds for itself.
        """
        key, opened = (
            money_key(owner.tenant),
            replace(attempt, counters=self.budget_counters.counter_ids(owner.tenant, attempt)),
        )
        create = Create(id=opened.id, body=opened.to_document())
        try:
            await self.budget_counters.write_within_limits(key, create, before=None, after=opened)
        except Conflict:
            return await self.reopen(key, attempt)
        return opened

    async def reopen(self, key: DocumentKey, attempt: AttemptRecord) -> AttemptRecord:
        while found := await self.store.read(key, attempt.id):
            before = AttemptRecord.from_document(found.body)
            again = opened_again(before, attempt.reserved)
            write = Replace(id=again.id, body=again.to_document(), etag=found.etag)
            try:
                await self.budget_counters.write_within_limits(key, write, before=before, after=again)
            except Conflict:
                continue
            return again
        raise Conflict("the attempt vanished", identifier=attempt.id)

    async def close_attempt(self, owner: Owner, attempt: AttemptRecord) -> None:
        """Record how a run of an attempt ended, once; a run that another has followed closes nothing."""
        key = money_key(owner.tenant)
        while found := await self.store.read(key, attempt.id):
            before = AttemptRecord.from_document(found.body)
            if before.status is not AttemptStatus.OPEN or before.deliveries != attempt.deliveries:
                return None
            closed = with_shares(replace(attempt, counters=before.counters, shares=before.shares), attempt.shares)
            write = Replace(id=closed.id, body=closed.to_document(), etag=found.etag)
            try:
                return await self.budget_counters.write_attempt(key, write, before=before, after=closed)
            except Conflict:
                continue
        return None

    async def reserve_warm_up(
        self, owner: Owner, response_id: str, backend: Backend, session: str, share: SessionShare
    ) -> None:
        """Charge a wake to who wakes, before it is sent; raises Exhausted where a budget has no room. Repeatable."""
        key, wake = money_key(owner.tenant), self.warm_up_record(owner, response_id, backend)
        while True:
            found = await self.store.read(key, wake.id)
            before = AttemptRecord.from_document(found.body) if found else None
            if before and session in before.shares:
                return None
            after = with_shares(before or wake, {session: share})
            with suppress(Conflict):
                return await self.budget_counters.write_within_limits(
                    key, write_operation(after, found), before=before, after=after
                )

    def warm_up_record(self, owner: Owner, response_id: str, backend: Backend) -> AttemptRecord:
        """Return the record of a turn's wakes as it begins."""
        wake = AttemptRecord(
            response=response_id,
            subject=owner.subject,
            number=0,
            backend=backend.name,
            model=backend.model,
            price=backend.price.name,
            reserved=Decimal(0),
            started_at=self.clock.now(),
            status=AttemptStatus.PROVISIONAL,
            result="wake",
        )
        return replace(wake, counters=self.budget_counters.counter_ids(owner.tenant, wake))

    async def post_share(
        self, owner: Owner, record: str, session: str, share: SessionShare, wake: AttemptRecord | None = None
    ) -> None:
        """Write down what a record pays of a session that is closed. Safe to repeat: the first one stands."""
        key = money_key(owner.tenant)
        while True:
            found = await self.store.read(key, record)
            before = AttemptRecord.from_document(found.body) if found else None
            known = before or wake
            if known is None or (session in known.shares and known.shares[session].final):
                return None
            after = with_shares(known, {session: share})
            if after == before:
                return None
            with suppress(Conflict):
                return await self.budget_counters.write_attempt(
                    key, write_operation(after, found), before=before, after=after
                )

    async def attempts(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return the calls of a turn."""
        return tuple(each for each in await self.records(owner, response_id) if each.number)

    async def records(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return all that a turn pays backends for: its calls, and before them its wakes."""
        found = await self.store.list(money_key(owner.tenant), prefix=attempt_prefix(response_id))
        return tuple(AttemptRecord.from_document(document.body) for document in found)

    async def settle(self, owner: Owner, response_id: str, overhead: OverheadCost = NO_OVERHEAD) -> Decimal:
        """Close the reservation at what the attempts cost, in dollars. Safe to repeat: the first settlement stands.

        `overhead` is what the store and the functions cost; it goes to the turn's usage with the settlement.
        """
        key = money_key(owner.tenant)
        attempts = await self.settled_records(owner, response_id)
        cost = turn_cost(attempts)
        while found := await self.store.read(key, reservation_id(response_id)):
            held = Reservation.from_document(found.body)
            if held.status is ReservationStatus.SETTLED:
                return held.cost or Decimal(0)
            settled = held.settled(cost=cost, at=self.clock.now(), overhead=overhead)
            row = overhead_row(held.subject, held.at, next((each.conversation for each in attempts), ""))
            write = Replace(id=held.id, body=settled.to_document(), etag=found.etag)
            with suppress(Conflict):
                await self.budget_counters.commit_with_counts(key, write, (), row, overhead_counts(overhead))
                return cost
        return cost

    async def add_overhead(self, response: Response, overhead: OverheadCost) -> None:
        """Add what the store and the functions cost to answer a request about a turn; for what has a reservation."""
        counts = overhead_counts(overhead)
        if any(counts.values()):
            row = overhead_row(response.owner.subject, response.created_at, response.history.conversation or "")
            await self.budget_counters.add_counts(
                money_key(response.owner.tenant), reservation_id(response.id), row, counts
            )

    async def settled_records(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return what a turn pays backends for, nothing of it open any more."""
        records = await self.records(owner, response_id)
        if all(each.status is not AttemptStatus.OPEN for each in records):
            return records
        await self.close_lost(owner, records)
        return await self.records(owner, response_id)

    async def close_lost(self, owner: Owner, attempts: Sequence[AttemptRecord]) -> None:
        """Close the attempts whose end nobody saw, at what was reserved for them."""
        for each in attempts:
            if each.status is AttemptStatus.OPEN:
                now = self.clock.now()
                await self.close_attempt(owner, lost_attempt(each, at=now))

    async def release(self, tenant: str, response_id: str) -> None:
        """Give back what was held for a response that never came to be. Safe to repeat."""
        now = self.clock.now()

        def released(there: Body) -> Body | None:
            held = Reservation.from_document(there)
            return held.released(at=now).to_document() if held.status is ReservationStatus.OPEN else None

        await self.update_document(money_key(tenant), reservation_id(response_id), released)

    async def update_document(
        self, key: DocumentKey, identifier: str, decide: Callable[[Body], Body | None]
    ) -> Body | None:
        """Replace a document by what is decided on it, anew while others change it; return what stands then.

        None decides to leave it; None is returned where it is not there.
        """
        while found := await self.store.read(key, identifier):
            decided = decide(found.body)
            if decided is None:
                return found.body
            try:
                await self.store.commit(key, (Replace(id=identifier, body=decided, etag=found.etag),))
            except Conflict:
                continue
            return decided
        return None

    async def open_reservations(self, *, before: float) -> Sequence[tuple[Owner, Reservation]]:
        """Return reservations of all tenants that are open since before a time: the sweeper's question."""
        status = ReservationStatus.OPEN.value
        found = await self.store.find(
            Container.MONEY, kind="reservation", status=status, before=before, limit=SWEEP_LIMIT
        )
        held = [(each.key.parts[0], Reservation.from_document(each.document.body)) for each in found]
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in held)

    async def open_attempts(self, *, before: float) -> Sequence[tuple[Owner, AttemptRecord]]:
        """Return attempts of all tenants that are open since before a time: the sweeper's question."""
        status = AttemptStatus.OPEN.value
        found = await self.store.find(Container.MONEY, kind="attempt", status=status, before=before, limit=SWEEP_LIMIT)
        opened = [(each.key.parts[0], AttemptRecord.from_document(each.document.body)) for each in found]
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in opened)


def lost_attempt(attempt: AttemptRecord, *, at: float) -> AttemptRecord:
    """Return an attempt whose end nobody saw, closed at what was reserved for it.

    Where runs of it have left shares of sessions these stand, and the rest is a share of none.
    """
    rest = attempt.reserved - sum((sum(share.lines.values()) for share in attempt.shares.values()), Decimal(0))
    held: dict[str, Decimal] = {BillLine.HELD: rest}
    shares = {name: replace(share, final=True) for name, share in attempt.shares.items()}
    return replace(
        attempt,
        status=AttemptStatus.CLOSED,
        cost=attempt.reserved,
        lines=held,
        shares={**shares, f"lost/{attempt.deliveries}": SessionShare(lines=held, final=True)} if shares else shares,
        ended_at=at,
        result="lost",
    )


def write_operation(attempt: AttemptRecord, found: Document | None) -> Create | Replace:
    body = attempt.to_document()
    return Replace(id=attempt.id, body=body, etag=found.etag) if found else Create(id=attempt.id, body=body)

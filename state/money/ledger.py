"""How are the reservation, the attempts and the settlement of a turn stored, so that each step is safe to repeat?

Reservations, attempt records and budget counters share the partition [tenant]. The ids of reservations and attempts
contain the id of their response, so a second write of one is detected. An attempt and its counters change in one batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap, create_once
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
    """Reserves money before a turn, records its attempts, and settles it afterwards."""

    def __init__(self, store: DocumentStore, clock: Clock, budgets: Budgets) -> None:
        self.store = store
        self.clock = clock
        self.budget_counters = BudgetCounters(store, clock, budgets)

    async def reserve(self, owner: Owner, response_id: str, amount: Decimal) -> str:
        """Record the worst case of a turn's cost, in dollars, and that it is owed until the turn is settled.

        Safe to repeat; a released reservation is opened again. Raises Exhausted where a budget has no room for it;
        returns a warning where a budget is nearly used up.
        """
        warning = await self.budget_counters.check(owner, response_id, amount)
        key = money_key(owner.tenant)
        reservation = Reservation(response=response_id, subject=owner.subject, amount=amount, at=self.clock.now())

        def reopened(stored: Body) -> Body | None:
            is_released = ReservationStatus(stored["status"]) is ReservationStatus.RELEASED
            return reservation.to_document() if is_released else None

        if not await create_once(self.store, key, Create(id=reservation.id, body=reservation.to_document())):
            await self.update_document(key, reservation.id, reopened)
        return warning

    async def reservation(self, owner: Owner, response_id: str) -> Reservation | None:
        found = await self.store.read(money_key(owner.tenant), reservation_id(response_id))
        return Reservation.from_document(found.body) if found else None

    async def open_attempt(self, owner: Owner, attempt: AttemptRecord) -> AttemptRecord:
        """Record that an attempt begins, and reserve its worst case in every budget; raises Exhausted.

        A redelivery keeps the first start, is counted and adds its own worst case.
        """
        key = money_key(owner.tenant)
        opened = replace(attempt, counters=self.budget_counters.counter_ids(owner.tenant, attempt))
        create = Create(id=opened.id, body=opened.to_document())
        try:
            await self.budget_counters.write_within_limits(key, create, before=None, after=opened)
        except Conflict:  # the record exists: this is a redelivery, and another write than the first
            return await self.reopen(key, attempt)
        return opened

    async def reopen(self, key: DocumentKey, attempt: AttemptRecord) -> AttemptRecord:
        async def step() -> AttemptRecord | None:
            found = await self.store.read(key, attempt.id)
            if found is None:
                return None
            before = AttemptRecord.from_document(found.body)
            after = opened_again(before, attempt.reserved)
            write = write_operation(after, found)
            await self.budget_counters.write_within_limits(key, write, before=before, after=after)
            return after

        reopened = await compare_and_swap(self.clock, step)
        if reopened is None:
            raise Conflict(f"The record {attempt.id!r} was deleted while its attempt ran.", identifier=attempt.id)
        return reopened

    async def close_attempt(self, owner: Owner, attempt: AttemptRecord) -> None:
        """Record how a run of an attempt ended, once; does nothing where a later run has replaced it."""

        def closed(stored: AttemptRecord | None) -> AttemptRecord | None:
            if stored is None or stored.status is not AttemptStatus.OPEN or stored.deliveries != attempt.deliveries:
                return None
            return with_shares(replace(attempt, counters=stored.counters, shares=stored.shares), attempt.shares)

        await self.update_attempt(owner, attempt.id, closed)

    async def update_attempt(
        self,
        owner: Owner,
        record: str,
        decide: Callable[[AttemptRecord | None], AttemptRecord | None],
        *,
        within_limits: bool = False,
    ) -> None:
        """Write what `decide` makes of a stored record, with its counters; None leaves the record as it is."""
        key, counters = money_key(owner.tenant), self.budget_counters
        write = counters.write_within_limits if within_limits else counters.write_attempt

        async def step() -> None:
            found = await self.store.read(key, record)
            before = AttemptRecord.from_document(found.body) if found else None
            after = decide(before)
            if after is not None and after != before:
                await write(key, write_operation(after, found), before=before, after=after)

        await compare_and_swap(self.clock, step)

    async def reserve_warm_up(
        self, owner: Owner, response_id: str, backend: Backend, session: str, share: SessionShare
    ) -> None:
        """Charge a warm-up to its sender before it is sent; raises Exhausted. Safe to repeat."""
        record = self.warm_up_record(owner, response_id, backend)

        def charged(stored: AttemptRecord | None) -> AttemptRecord | None:
            is_charged = stored is not None and session in stored.shares
            return None if is_charged else with_shares(stored or record, {session: share})

        await self.update_attempt(owner, record.id, charged, within_limits=True)

    def warm_up_record(self, owner: Owner, response_id: str, backend: Backend) -> AttemptRecord:
        """Return the record of the warm-ups that a turn sends, as it is before the first one."""
        record = AttemptRecord(
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
        return replace(record, counters=self.budget_counters.counter_ids(owner.tenant, record))

    async def post_share(
        self, owner: Owner, record: str, session: str, share: SessionShare, warm_up: AttemptRecord | None = None
    ) -> None:
        """Record what an attempt pays of a GPU session. Safe to repeat: the first final share stays.

        `warm_up` is the record to create where none is stored.
        """

        def posted(stored: AttemptRecord | None) -> AttemptRecord | None:
            known = stored or warm_up
            if known is None or (session in known.shares and known.shares[session].final):
                return None
            return with_shares(known, {session: share})

        await self.update_attempt(owner, record, posted)

    async def attempts(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return the records of a turn's calls of backends, without its warm-ups."""
        return tuple(each for each in await self.records(owner, response_id) if each.number)

    async def records(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return the records of everything that a turn pays backends for: its warm-ups first, then its calls."""
        found = await self.store.list(money_key(owner.tenant), prefix=attempt_prefix(response_id))
        return tuple(AttemptRecord.from_document(document.body) for document in found)

    async def settle(self, owner: Owner, response_id: str, overhead: OverheadCost = NO_OVERHEAD) -> Decimal:
        """Close the reservation at what the attempts cost, in dollars. Safe to repeat: the first settlement stays.

        `overhead` is the cost of the store and the functions; it is added to the turn's usage row.
        """
        attempts = await self.settled_records(owner, response_id)
        cost = turn_cost(attempts)
        conversation = next((each.conversation for each in attempts), "")
        key = money_key(owner.tenant)

        async def step() -> Decimal:
            found = await self.store.read(key, reservation_id(response_id))
            if found is None:
                return cost
            reservation = Reservation.from_document(found.body)
            if reservation.status is ReservationStatus.SETTLED:
                return reservation.cost or Decimal(0)
            settled = reservation.settled(cost=cost, at=self.clock.now(), overhead=overhead)
            row = overhead_row(reservation.subject, reservation.at, conversation)
            write = Replace(id=settled.id, body=settled.to_document(), etag=found.etag)
            await self.budget_counters.commit_with_counts(key, write, (), row, overhead_counts(overhead))
            return cost

        return await compare_and_swap(self.clock, step)

    async def add_overhead(self, response: Response, overhead: OverheadCost) -> None:
        """Add the cost of the store and the functions for a request about a turn that has a reservation."""
        counts = overhead_counts(overhead)
        if any(counts.values()):
            row = overhead_row(response.owner.subject, response.created_at, response.history.conversation or "")
            await self.budget_counters.add_counts(
                money_key(response.owner.tenant), reservation_id(response.id), row, counts
            )

    async def settled_records(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return a turn's records after closing those that are still open."""
        records = await self.records(owner, response_id)
        if all(each.status is not AttemptStatus.OPEN for each in records):
            return records
        await self.close_lost(owner, records)
        return await self.records(owner, response_id)

    async def close_lost(self, owner: Owner, attempts: Sequence[AttemptRecord]) -> None:
        """Close attempts whose end was not recorded, at their reserved amounts."""
        for each in attempts:
            if each.status is AttemptStatus.OPEN:
                now = self.clock.now()
                await self.close_attempt(owner, lost_attempt(each, at=now))

    async def release(self, tenant: str, response_id: str) -> None:
        """Release the reservation of a response that was never created. Safe to repeat."""
        now = self.clock.now()

        def released(stored: Body) -> Body | None:
            reservation = Reservation.from_document(stored)
            is_open = reservation.status is ReservationStatus.OPEN
            return reservation.released(at=now).to_document() if is_open else None

        await self.update_document(money_key(tenant), reservation_id(response_id), released)

    async def update_document(self, key: DocumentKey, identifier: str, decide: Callable[[Body], Body | None]) -> None:
        """Replace a document by what `decide` returns; None leaves it as it is, and so does a missing document."""

        async def step() -> None:
            found = await self.store.read(key, identifier)
            body = decide(found.body) if found else None
            if found and body is not None:
                await self.store.commit(key, (Replace(id=identifier, body=body, etag=found.etag),))

        await compare_and_swap(self.clock, step)

    async def open_reservations(self, *, before: float) -> Sequence[tuple[Owner, Reservation]]:
        """Return the reservations of all tenants that are open and were made before a time, for the sweep."""
        status = ReservationStatus.OPEN.value
        found = await self.store.find(
            Container.MONEY, kind="reservation", status=status, before=before, limit=SWEEP_LIMIT
        )
        reservations = [(each.key.parts[0], Reservation.from_document(each.document.body)) for each in found]
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in reservations)

    async def open_attempts(self, *, before: float) -> Sequence[tuple[Owner, AttemptRecord]]:
        """Return the attempts of all tenants that are open and began before a time, for the sweep."""
        status = AttemptStatus.OPEN.value
        found = await self.store.find(Container.MONEY, kind="attempt", status=status, before=before, limit=SWEEP_LIMIT)
        attempts = [(each.key.parts[0], AttemptRecord.from_document(each.document.body)) for each in found]
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in attempts)


def lost_attempt(attempt: AttemptRecord, *, at: float) -> AttemptRecord:
    """Return an attempt whose end was not recorded, closed at its reserved amount.

    Shares of GPU sessions that earlier runs left are kept; the rest becomes a share of no session.
    """
    rest = attempt.reserved - sum((sum(share.lines.values()) for share in attempt.shares.values()), Decimal(0))
    lines: dict[str, Decimal] = {BillLine.HELD: rest}
    shares = {name: replace(share, final=True) for name, share in attempt.shares.items()}
    return replace(
        attempt,
        status=AttemptStatus.CLOSED,
        cost=attempt.reserved,
        lines=lines,
        shares={**shares, f"lost/{attempt.deliveries}": SessionShare(lines=lines, final=True)} if shares else shares,
        ended_at=at,
        result="lost",
    )


def write_operation(attempt: AttemptRecord, found: Document | None) -> Create | Replace:
    body = attempt.to_document()
    return Replace(id=attempt.id, body=body, etag=found.etag) if found else Create(id=attempt.id, body=body)

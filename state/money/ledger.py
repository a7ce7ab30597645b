"""How are the reservation, the attempts and the settlement of a turn stored, so that each step is safe to repeat?

Reservations, attempt records and budget counters share the partition [tenant]. The ids of reservations and attempts
contain the id of their response, so a second write of one is detected. An attempt and its counters change in one batch.
"""

from collections.abc import Callable, Sequence
from copy import replace
from decimal import Decimal

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap, create_once
from clients.storage.keys import money_key
from clients.storage.port import Body, Create, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict
from domain.fleet.catalog import Backend
from domain.identity.owners import Owner
from domain.money.attempt_charge import SessionShare
from domain.money.budgets import Budgets
from domain.money.ledger_records import (
    NO_OVERHEAD,
    AttemptRecord,
    Reservation,
    ReservationStatus,
    attempt_prefix,
    reopened,
    reservation_id,
    turn_cost,
    with_reserved,
    with_shares,
)
from domain.money.overheads import OverheadCost
from domain.money.settlement import Settlement
from domain.money.usage import overhead_counts, overhead_row, settled_usage
from domain.turns.origins import origin_of
from domain.turns.response import Response
from state.money.attempt_changes import (
    closed_record,
    covering_changes,
    lost_attempt,
    new_warm_up_record,
    open_records,
    release_reservation,
    releasing_changes,
    replace_document,
    write_operation,
)
from state.money.budget_counters import BudgetCounters, Cover, RecordChange
from state.turn_index import index_operations


class Ledger:
    """Reserves money before a turn, records its attempts, and settles it afterwards."""

    def __init__(self, store: DocumentStore, clock: Clock, budgets: Budgets) -> None:
        self.store = store
        self.clock = clock
        self.budget_counters = BudgetCounters(store, clock, budgets)

    async def reserve(
        self, owner: Owner, response_id: str, amount: Decimal, *, needed: Decimal | None = None, origin: str = ""
    ) -> Cover:
        """Record the worst case of a turn's cost, in dollars, and that it is owed until the turn is settled.

        Safe to repeat; a released reservation is opened again. Raises Exhausted where a budget has no room for what is
        `needed`: the whole amount, or the worst case at the backend where that is the least.
        """
        cover = await self.budget_counters.check(owner, response_id, amount, needed=needed, origin=origin)
        key = money_key(owner.tenant)
        at, subject = self.clock.now(), owner.subject
        reservation = Reservation(response=response_id, subject=subject, amount=amount, at=at, origin=origin)

        def open_again(stored: Body) -> Body | None:
            is_released = ReservationStatus(stored["status"]) is ReservationStatus.RELEASED
            return reservation.to_document() if is_released else None

        create, entries = Create(id=reservation.id, body=reservation.to_document()), index_operations(reservation)
        if not await create_once(self.store, key, create, *entries):
            await replace_document(self.store, self.clock, key, reservation.id, open_again)
        return cover

    async def reservation(self, owner: Owner, response_id: str) -> Reservation | None:
        found = await self.store.read(money_key(owner.tenant), reservation_id(response_id))
        return found.read_as(Reservation.from_document) if found else None

    async def open_attempt(
        self, owner: Owner, attempt: AttemptRecord, *, session: str = "", joint: Decimal | None = None
    ) -> AttemptRecord:
        """Record that an attempt begins, and reserve its worst case in every budget; raises Exhausted.

        With `joint`, that many dollars are reserved for all that the turn pays of the `session`: until it ends, the
        turn's earlier records cost nothing. A redelivery keeps the first start, is counted and adds its worst case.
        """
        key = money_key(owner.tenant)
        opened = await self.counted(owner, attempt)

        async def step() -> AttemptRecord | None:
            earlier = await covering_changes(self.store, key, opened, session) if joint else ()
            first = with_reserved(opened, joint) if joint and earlier else opened
            create = RecordChange(Create(id=first.id, body=first.to_document()), None, first)
            try:
                await self.budget_counters.write_within_limits(key, create, *earlier)
            except Conflict as error:
                if error.identifier != first.id:
                    raise
                return None
            return first

        # Where the record exists, this is a redelivery, and another write than the first.
        return await compare_and_swap(self.clock, step) or await self.reopen(key, attempt)

    async def reopen(self, key: DocumentKey, attempt: AttemptRecord) -> AttemptRecord:
        async def step() -> AttemptRecord | None:
            found = await self.store.read(key, attempt.id)
            if found is None:
                return None
            before = found.read_as(AttemptRecord.from_document)
            after = reopened(before, attempt.charge.reserved)
            change = RecordChange(write_operation(after, found), before, after)
            await self.budget_counters.write_within_limits(key, change)
            return after

        record = await compare_and_swap(self.clock, step)
        if record is None:
            raise Conflict(f"The record {attempt.id!r} was deleted while its attempt ran.", identifier=attempt.id)
        return record

    async def close_attempt(
        self,
        owner: Owner,
        attempt: AttemptRecord,
        *,
        session: str = "",
        joint: Decimal | None = None,
        late: Decimal = Decimal(0),
    ) -> None:
        """Record how a run of an attempt ended, once; where a later run has replaced it, only add the `late` dollars.

        The records in the `session` that its reservation covered cost their own again, in the same batch: with the
        attempt, `joint` dollars at most.
        """
        key = money_key(owner.tenant)

        async def step() -> None:
            found = await self.store.read(key, attempt.id)
            before = found.read_as(AttemptRecord.from_document) if found else None
            after = closed_record(before, attempt, late=late)
            if after is not None:
                left = None if joint is None else joint - (after.charge.cost or Decimal(0))
                earlier = await releasing_changes(self.store, key, attempt, session, left) if session else ()
                change = RecordChange(write_operation(after, found), before, after)
                await self.budget_counters.write_attempts(key, change, *earlier)

        await compare_and_swap(self.clock, step)

    async def update_attempt(
        self,
        owner: Owner,
        record: str,
        decide: Callable[[AttemptRecord | None], AttemptRecord | None],
        *,
        beside: Decimal | None = None,
    ) -> AttemptRecord | None:
        """Write what `decide` makes of a stored record, with its counters; None leaves the record as it is.

        Returns the stored record. With `beside` every budget keeps that many dollars free; raises Exhausted.
        """
        key, counters = money_key(owner.tenant), self.budget_counters

        async def step() -> AttemptRecord | None:
            found = await self.store.read(key, record)
            before = found.read_as(AttemptRecord.from_document) if found else None
            after = decide(before)
            if after is None or after == before:
                return before
            change = RecordChange(write_operation(after, found), before, after)
            if beside is None:
                await counters.write_attempts(key, change)
            else:
                await counters.write_within_limits(key, change, beside=beside)
            return after

        return await compare_and_swap(self.clock, step)

    async def reserve_warm_up(
        self,
        owner: Owner,
        response_id: str,
        backend: Backend,
        session: str,
        share: SessionShare,
        *,
        beside: Decimal = Decimal(0),
    ) -> None:
        """Charge a warm-up before it is sent, once; every budget keeps `beside` dollars free. Raises Exhausted."""
        record = await self.warm_up_record(owner, response_id, backend)

        def charged(stored: AttemptRecord | None) -> AttemptRecord | None:
            is_charged = stored is not None and session in stored.charge.shares
            return None if is_charged else with_shares(stored or record, {session: share})

        await self.update_attempt(owner, record.id, charged, beside=beside)

    async def warm_up_record(self, owner: Owner, response_id: str, backend: Backend) -> AttemptRecord:
        """Return the record of the warm-ups that a turn sends, as it is before the first one."""
        reserved = await self.reservation(owner, response_id)
        record = new_warm_up_record(owner, response_id, backend, at=self.clock.now(), reservation=reserved)
        return await self.counted(owner, record)

    async def counted(self, owner: Owner, record: AttemptRecord) -> AttemptRecord:
        """Return a record with the ids of its budget counters."""
        counters = await self.budget_counters.counter_ids(owner.tenant, record)
        return replace(record, charge=replace(record.charge, counters=counters))

    async def post_share(
        self, owner: Owner, record: str, session: str, share: SessionShare, warm_up: AttemptRecord | None = None
    ) -> None:
        """Record what an attempt pays of a GPU session. Safe to repeat: the first final share stays.

        `warm_up` is the record to create where none is stored.
        """

        def posted(stored: AttemptRecord | None) -> AttemptRecord | None:
            known = stored or warm_up
            charge = known.charge.with_posted(session, share) if known else None
            return replace(known, charge=charge) if known and charge else None

        await self.update_attempt(owner, record, posted)

    async def attempts(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return the records of a turn's calls of backends, without its warm-ups."""
        return tuple(each for each in await self.records(owner, response_id) if each.number)

    async def records(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return the records of everything that a turn pays backends for: its warm-ups first, then its calls."""
        found = await self.store.list(money_key(owner.tenant), prefix=attempt_prefix(response_id))
        return tuple(document.read_as(AttemptRecord.from_document) for document in found)

    async def settle(
        self, owner: Owner, response_id: str, overhead: OverheadCost = NO_OVERHEAD, *, origin: str = ""
    ) -> Settlement:
        """Close the reservation at what the attempts cost. Safe to repeat: the first settlement stays.

        `overhead` is the cost of the store and the functions; it is added to the turn's usage row. `origin` takes the
        place of the one that was known when the turn was admitted.
        """
        records, key = await self.settled_records(owner, response_id), money_key(owner.tenant)
        cost = turn_cost(records)

        async def step() -> Settlement:
            found = await self.store.read(key, reservation_id(response_id))
            if found is None:
                return Settlement(cost=cost, records=records)
            reservation = found.read_as(Reservation.from_document)
            if reservation.status is ReservationStatus.SETTLED:
                return Settlement(cost=reservation.cost or Decimal(0), records=records, reservation=reservation)
            settled = reservation.settled(cost=cost, at=self.clock.now(), overhead=overhead)
            write = Replace(id=settled.id, body=settled.to_document(), etag=found.etag)
            used = settled_usage(reservation, records, overhead, origin)
            await self.budget_counters.commit_with_counts(key, (write,), (), (used,))
            return Settlement(cost=cost, records=records, reservation=settled, is_first=True)

        return await compare_and_swap(self.clock, step)

    async def add_overhead(self, response: Response, overhead: OverheadCost) -> None:
        """Add the cost of the store and the functions for a request about a turn that has a reservation."""
        counts = overhead_counts(overhead)
        if any(counts.values()):
            conversation, origin = response.history.conversation or "", origin_of(response.options)
            row = overhead_row(response.owner.subject, response.created_at, conversation, origin)
            key = money_key(response.owner.tenant)
            await self.budget_counters.add_counts(key, reservation_id(response.id), row, counts)

    async def settled_records(self, owner: Owner, response_id: str) -> tuple[AttemptRecord, ...]:
        """Return a turn's records after closing those that are still open."""
        records = await self.records(owner, response_id)
        if not any(each.is_open for each in records):
            return records
        await self.close_lost(owner, records)
        return await self.records(owner, response_id)

    async def close_lost(self, owner: Owner, attempts: Sequence[AttemptRecord]) -> None:
        """Close attempts whose end was not recorded, at their reserved amounts."""
        for each in attempts:
            if each.is_open:
                await self.close_attempt(owner, lost_attempt(each, at=self.clock.now()))

    async def release(self, tenant: str, response_id: str) -> None:
        """Release the reservation of a response that was never created. Safe to repeat."""
        await release_reservation(self.store, self.clock, money_key(tenant), response_id)

    async def open_reservations(self, *, before: float) -> Sequence[tuple[Owner, Reservation]]:
        """Return the reservations of all tenants that are open and were made before a time, for the sweep."""
        found = await open_records(self.store, "reservation", Reservation.from_document, before=before)
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in found)

    async def open_attempts(self, *, before: float) -> Sequence[tuple[Owner, AttemptRecord]]:
        """Return the attempts of all tenants that are open and began before a time, for the sweep."""
        found = await open_records(self.store, "attempt", AttemptRecord.from_document, before=before)
        return tuple((Owner(tenant=tenant, subject=one.subject), one) for tenant, one in found)

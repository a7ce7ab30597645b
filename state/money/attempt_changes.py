"""What becomes of an attempt's record when it ends, and of the earlier records of its turn in the same GPU session?"""

from collections.abc import Callable, Sequence
from copy import replace
from decimal import Decimal
from typing import Final

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import parsed, readable
from clients.storage.port import (
    SWEEP_LIMIT,
    Body,
    Container,
    Create,
    Document,
    DocumentKey,
    DocumentStore,
    Replace,
)
from domain.fleet.catalog import Backend
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.costing import BillLine
from domain.money.ledger_records import (
    AttemptProgress,
    AttemptRecord,
    Reservation,
    ReservationStatus,
    attempt_prefix,
    reservation_id,
)
from state.money.budget_counters import RecordChange

OPEN: Final = "open"
"""The status of reservations and attempts that have not ended."""

LOST: Final = "lost"
"""The result of an attempt whose end was not recorded."""


async def covering_changes(
    store: DocumentStore, key: DocumentKey, attempt: AttemptRecord, session: str
) -> Sequence[RecordChange]:
    """Return the changes by which an attempt's reservation holds what its turn pays of a session so far."""
    return [
        RecordChange(write_operation(after, found), before, after)
        for found, before in await stored_records(store, key, attempt.response)
        if before.number < attempt.number and before.charge.can_be_covered_by(attempt.charge, session)
        for after in (replace(before, charge=before.charge.covered(attempt.number)),)
    ]


async def releasing_changes(
    store: DocumentStore, key: DocumentKey, attempt: AttemptRecord, session: str, left: Decimal | None
) -> Sequence[RecordChange]:
    """Return the changes by which the records that an attempt's reservation held cost their own again.

    Together they cost `left` dollars at most; the first ones keep most, for their final shares are posted first.
    """
    changes: list[RecordChange] = []
    for found, before in await stored_records(store, key, attempt.response):
        if before.charge.covered_by == attempt.number:
            after = replace(before, charge=before.charge.uncovered(session, left))
            left = None if left is None else max(Decimal(0), left - (after.charge.cost or Decimal(0)))
            changes.append(RecordChange(write_operation(after, found), before, after))
    return changes


async def stored_records(
    store: DocumentStore, key: DocumentKey, response: str
) -> Sequence[tuple[Document, AttemptRecord]]:
    found = await store.list(key, prefix=attempt_prefix(response))
    return [(each, each.read_as(AttemptRecord.from_document)) for each in found]


def new_warm_up_record(
    owner: Owner, response_id: str, backend: Backend, *, at: float, reservation: Reservation | None = None
) -> AttemptRecord:
    return AttemptRecord(
        response=response_id,
        subject=owner.subject,
        number=0,
        backend=backend.name,
        model=backend.model,
        price=backend.price.name,
        started_at=at,
        charge=AttemptCharge(reserved=Decimal(0), status=AttemptStatus.PROVISIONAL),
        progress=AttemptProgress(result="wake"),
        origin=reservation.origin if reservation else "",
    )


def closed_record(
    stored: AttemptRecord | None, attempt: AttemptRecord, *, late: Decimal = Decimal(0)
) -> AttemptRecord | None:
    """Return the record that a run leaves when it ends; None where it leaves none.

    Where a later run has replaced it, the run adds only what it used beyond its text in the log: `late`. A lost record
    holds the worst case of all its runs already.
    """
    if stored is None:
        return None
    run, last_run = attempt.progress.deliveries, stored.progress.deliveries
    if run < last_run:
        if stored.progress.result == LOST:
            return None
        charge = stored.charge.with_late_run(run, late, line=BillLine.TOKENS)
        return None if charge == stored.charge else replace(stored, charge=charge)
    if not stored.is_open or run != last_run:
        return None
    is_lost = attempt.progress.result == LOST
    charge = attempt.charge if is_lost else attempt.charge.with_late_runs(stored.charge.late, line=BillLine.TOKENS)
    charge = replace(charge, counters=stored.charge.counters, shares=stored.charge.shares)
    return replace(attempt, charge=charge.with_shares(attempt.charge.shares))


def lost_attempt(attempt: AttemptRecord, *, at: float) -> AttemptRecord:
    """Return an attempt whose end was not recorded, closed at its reserved amount."""
    charge = attempt.charge.lost(line=BillLine.HELD, run=attempt.progress.deliveries)
    return replace(attempt, charge=charge, progress=replace(attempt.progress, ended_at=at, result=LOST))


def write_operation(attempt: AttemptRecord, found: Document | None) -> Create | Replace:
    body = attempt.to_document()
    return Replace(id=attempt.id, body=body, etag=found.etag) if found else Create(id=attempt.id, body=body)


async def replace_document(
    store: DocumentStore, clock: Clock, key: DocumentKey, identifier: str, decide: Callable[[Body], Body | None]
) -> None:
    """Replace a document by what `decide` returns; None leaves it as it is, and so does a missing document."""

    async def step() -> None:
        found = await store.read(key, identifier)
        body = decide(found.body) if found else None
        if found and body is not None:
            await store.commit(key, (Replace(id=identifier, body=body, etag=found.etag),))

    await compare_and_swap(clock, step)


async def release_reservation(store: DocumentStore, clock: Clock, key: DocumentKey, response_id: str) -> None:
    """Release an open reservation; any other one stays as it is."""

    def released(stored: Body) -> Body | None:
        reservation = parsed(reservation_id(response_id), Reservation.from_document, stored)
        is_open = reservation.status is ReservationStatus.OPEN
        return reservation.released(at=clock.now()).to_document() if is_open else None

    await replace_document(store, clock, key, reservation_id(response_id), released)


async def open_records[T](
    store: DocumentStore, kind: str, parse: Callable[[Body], T], *, before: float, status: str = OPEN
) -> Sequence[tuple[str, T]]:
    """Return the records of a kind that were made before a time, of all tenants, each with its tenant.

    They are open, or have another `status`.
    """
    found = await store.find(Container.MONEY, kind=kind, status=status, before=before, limit=SWEEP_LIMIT)
    return list(readable(found, lambda each: (each.key.parts[0], each.document.read_as(parse))))

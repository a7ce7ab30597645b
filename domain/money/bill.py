"""What does a turn cost, line by line?"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from domain.money.attempt_charge import AttemptStatus
from domain.money.costing import BillLine
from domain.money.ledger_records import NO_OVERHEAD, AttemptRecord, Reservation, ReservationStatus


class TurnBill(Struct, frozen=True, kw_only=True):
    """Dollars for each line; `final` once no line changes any more."""

    lines: Mapping[BillLine, Decimal]
    final: bool

    @property
    def total(self) -> Decimal:
        return sum(self.lines.values(), Decimal(0))


def bill_of(attempts: Sequence[AttemptRecord], reservation: Reservation | None) -> TurnBill:
    """Return the cost of a turn by line: its attempts, the store and the functions."""
    overhead = reservation.overhead if reservation else NO_OVERHEAD
    parts = [part for attempt in attempts for part in lines_of(attempt).items()]
    lines = {line: sum((amount for name, amount in parts if name == line), Decimal(0)) for line in BillLine}
    settled = reservation is not None and reservation.status is ReservationStatus.SETTLED
    return TurnBill(
        lines={**lines, BillLine.STORE: overhead.store, BillLine.FUNCTIONS: overhead.functions},
        final=settled and all(attempt.charge.status is AttemptStatus.CLOSED for attempt in attempts),
    )


def lines_of(attempt: AttemptRecord) -> Mapping[str, Decimal]:
    """Return an attempt's cost by line; a cost that its record doesn't divide counts as held."""
    charge = attempt.charge
    if charge.cost is None:
        return {BillLine.HELD: charge.reserved}
    return charge.lines or {BillLine.HELD: charge.cost}

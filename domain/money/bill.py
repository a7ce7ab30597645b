"""What does a turn cost, line by line?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from domain.money.costing import BillLine
from domain.money.ledger_records import NO_OVERHEAD, AttemptRecord, AttemptStatus, Reservation, ReservationStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnBill:
    """Dollars for each line; it is final when nothing of it changes any more."""

    lines: Mapping[BillLine, Decimal]
    final: bool

    @property
    def total(self) -> Decimal:
        return sum(self.lines.values(), Decimal(0))


def bill_of(attempts: Sequence[AttemptRecord], held: Reservation | None) -> TurnBill:
    """Return what a turn's attempts cost, by their lines, and what the store and the functions did."""
    overhead = held.overhead if held else NO_OVERHEAD
    parts = [part for attempt in attempts for part in lines_of(attempt).items()]
    lines = {line: sum((amount for name, amount in parts if name == line), Decimal(0)) for line in BillLine}
    settled = held is not None and held.status is ReservationStatus.SETTLED
    return TurnBill(
        lines={**lines, BillLine.STORE: overhead.store, BillLine.FUNCTIONS: overhead.functions},
        final=settled and all(attempt.status is AttemptStatus.CLOSED for attempt in attempts),
    )


def lines_of(attempt: AttemptRecord) -> Mapping[str, Decimal]:
    """Return what an attempt's cost is for; where its record doesn't say, it counts as held."""
    if attempt.cost is None:
        return {BillLine.HELD: attempt.reserved}
    return attempt.lines or {BillLine.HELD: attempt.cost}

"""What did a turn cost in the end?"""

from dataclasses import dataclass
from decimal import Decimal

from domain.money.ledger_records import AttemptRecord, Reservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a turn cost, in dollars, with its records. `is_first`: this settlement closed the reservation."""

    cost: Decimal
    records: tuple[AttemptRecord, ...]
    reservation: Reservation | None = None
    is_first: bool = False

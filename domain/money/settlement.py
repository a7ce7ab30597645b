"""What did a turn cost in the end?"""

from decimal import Decimal

from msgspec import Struct

from domain.money.ledger_records import AttemptRecord, Reservation


class Settlement(Struct, frozen=True, kw_only=True):
    """What a turn cost, in dollars, with its records. `is_first`: this settlement closed the reservation."""

    cost: Decimal
    records: tuple[AttemptRecord, ...]
    reservation: Reservation | None = None
    is_first: bool = False

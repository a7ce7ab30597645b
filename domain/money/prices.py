"""What does each thing cost?"""

from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr


class PriceKind(StrEnum):
    PER_TOKEN = "per_token"  # noqa: S105 - the name of a kind, no secret
    PER_SECOND = "per_second"
    PER_HOUR = "per_hour"
    OWNED = "owned"


class PriceSource(Struct, frozen=True, kw_only=True):
    """Where a price comes from: its source, its date (ISO 8601) and its region."""

    source: str
    date: str
    region: str
    currency: str = "USD"


class TokenPrice(Struct, frozen=True, kw_only=True):
    """Dollars for a million tokens, and for one request.

    Cached input is what the provider reads from its prompt cache, `cache_write` what it writes to it; None where that
    costs as much as other input.
    """

    name: str
    origin: PriceSource
    input: Decimal
    cached_input: Decimal
    output: Decimal
    cache_write: Decimal | None = None
    request: Decimal = Decimal(0)

    @property
    def dearest_input(self) -> Decimal:
        return self.input if self.cache_write is None else max(self.input, self.cache_write)

    @property
    def kind(self) -> PriceKind:
        return PriceKind.PER_TOKEN


class PriceComponent(Struct, frozen=True, kw_only=True):
    """A part of a machine, as a GPU or a GiB: dollars for one of it, and how many there are."""

    name: str
    amount: Decimal
    count: Decimal


class TimePrice(Struct, frozen=True, kw_only=True):
    """Dollars for a machine's time: `amount`, always the sum of its components, for every `per_s` seconds (1 or 3,600).

    Time is billed in steps of `granularity_ms`, a session for `minimum_s` at least. `idle_s` is the idle time that is
    billed after the last request; `bills_cold` tells whether the start is billed. A machine that is always on costs at
    the margin only its energy: `energy_per_hour`, dollars for an hour of work. `request` is dollars for each answered
    call, where calls are billed one by one and not by session.
    """

    name: str
    origin: PriceSource
    kind: PriceKind
    components: tuple[PriceComponent, ...]
    per_s: int
    granularity_ms: int
    minimum_s: float = 0.0
    idle_s: float = 0.0
    bills_cold: bool = True
    energy_per_hour: Decimal = Decimal(0)
    request: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        amount = sum((each.amount * each.count for each in self.components), Decimal(0))
        force_setattr(self, "amount", amount)


type Price = TokenPrice | TimePrice

SECONDS_IN_HOUR: Final = 3600

"""What does each thing cost?"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final


class PriceKind(StrEnum):
    PER_TOKEN = "per_token"  # noqa: S105 - the name of a kind, no secret
    PER_SECOND = "per_second"
    PER_HOUR = "per_hour"
    OWNED = "owned"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSource:
    """Where a price comes from: its source, its date (ISO 8601) and its region."""

    source: str
    date: str
    region: str
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceComponent:
    """A part of a machine, as a GPU or a GiB: dollars for one of it, and how many there are."""

    name: str
    amount: Decimal
    count: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePrice:
    """Dollars for a machine's time: `amount`, the sum of its components, for every `per_s` seconds (1 or 3,600).

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
    amount: Decimal = field(init=False)

    def __post_init__(self) -> None:
        amount = sum((each.amount * each.count for each in self.components), Decimal(0))
        object.__setattr__(self, "amount", amount)


type Price = TokenPrice | TimePrice

SECONDS_IN_HOUR: Final = 3600

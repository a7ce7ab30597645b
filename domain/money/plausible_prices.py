"""Is a price far outside the range of its kind? Then its unit is probably wrong.

The usual mistakes are a price of 1,000 tokens as that of a million, and a price of an hour as that of a second. The
ranges leave room for ten times less and more than what providers listed in November 2026: a million tokens cost from
$0.01 (small open models) to $600 (the dearest reasoning models), an hour of a machine with GPUs from $0.35 (one T4) to
$120 (eight H200).
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from domain.money.prices import SECONDS_IN_HOUR, Price, PriceKind, TokenPrice


class Range(NamedTuple):
    """Dollars, both ends included; 0 is always plausible, as a free model or a machine that is paid elsewhere."""

    low: Decimal
    high: Decimal


MILLION_TOKENS: Final = Range(Decimal("0.001"), Decimal(6000))
MACHINE_HOUR: Final = Range(Decimal("0.03"), Decimal(1200))


def implausible(price: Price) -> Iterator[str]:
    """Yield a sentence for each amount of a price that is far outside the range of its kind."""
    for field, amount, allowed, unit in amounts_of(price):
        if amount and not allowed.low <= amount <= allowed.high:
            expected = f"expected ${allowed.low} to ${allowed.high}"
            yield f"prices.{price.name}.{field}: ${amount.normalize():f} for {unit} is implausible, {expected}"


def amounts_of(price: Price) -> Iterator[tuple[str, Decimal, Range, str]]:
    """Yield the field, the dollars, the range and the unit of each amount."""
    if isinstance(price, TokenPrice):
        for field in ("input", "cached_input", "output"):
            yield field, getattr(price, field), MILLION_TOKENS, "a million tokens"
    elif price.kind is not PriceKind.OWNED:
        yield "components", price.amount * SECONDS_IN_HOUR / price.per_s, MACHINE_HOUR, "an hour of the machine"

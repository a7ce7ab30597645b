"""How much will a tenant have spent when the day or the month ends?

The rest of a day is expected to cost what that part of a typical day costs. The band comes from the cheapest and the
dearest of the days that the forecast was learned from.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from domain.money.budgets import learned_forecast
from domain.money.ledger_records import NANOS

STEPS: Final = (Decimal("0.8"), Decimal(1), Decimal("1.5"))
"""The shares of the forecast at which operators are warned."""


class SpendForecast(Struct, frozen=True, kw_only=True):
    """Dollars for a whole day: `expected`, and the cheapest and dearest day that it was learned from.

    A configured forecast has no band: all three are equal.
    """

    expected: Decimal
    cheapest: Decimal
    dearest: Decimal
    configured: bool = False


class Projection(Struct, frozen=True, kw_only=True):
    """Dollars at the end of the period."""

    expected: Decimal
    low: Decimal
    high: Decimal


def forecast_of(configured: Decimal | None, days: Sequence[int]) -> SpendForecast | None:
    """Return the configured forecast of a day, or the one learned from past days in nano-dollars; else None."""
    if configured is not None:
        return SpendForecast(expected=configured, cheapest=configured, dearest=configured, configured=True)
    learned = learned_forecast(days)
    if learned is None:
        return None
    return SpendForecast(expected=learned, cheapest=min(days) / NANOS, dearest=max(max(days) / NANOS, learned))


def projection(taken: Decimal, forecast: SpendForecast, days_left: Decimal) -> Projection:
    """Return the spend at the end of a period, of which `days_left` days (a fraction counts) are left.

    `taken` is what has been spent or is held.
    """
    return Projection(
        expected=taken + forecast.expected * days_left,
        low=taken + forecast.cheapest * days_left,
        high=taken + forecast.dearest * days_left,
    )


def reached_step(taken: Decimal, forecast: SpendForecast, steps: Sequence[Decimal] = STEPS) -> Decimal | None:
    """Return the highest share of the forecast that a day's spend has reached; None below the first."""
    return max((step for step in steps if taken >= forecast.expected * step), default=None)

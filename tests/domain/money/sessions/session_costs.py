"""What does a whole GPU session cost, by the plain formula that the parts of a bill must add up to?"""

from collections.abc import Iterable
from decimal import Decimal

from domain.money.costing import time_cost
from domain.money.prices import TimePrice


def session_cost(price: TimePrice, *, cold_s: float, busy: Iterable[tuple[float, float]]) -> Decimal:
    """Return what a GPU session costs, from its warm-up to the end of its last idle period.

    Rate x (cold + union of the busy spans, each with its tail). Where spans overlap or touch, that is cold + union of
    busy + one tail; idle time between two requests of one session is billed too, as the machine lives through it. So a
    session costs what its first request costs and the marginal costs of the others.
    """
    cold = cold_s if price.bills_cold else 0.0
    alive = union_s((start, end + price.idle_s) for start, end in busy)
    return time_cost(price, max(cold + alive, price.minimum_s))


def union_s(spans: Iterable[tuple[float, float]]) -> float:
    """Return the seconds that at least one span covers. A span that ends before it starts covers none."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered

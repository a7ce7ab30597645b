"""What is the score of a backend, as a sum in dollars?"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from domain.money.costing import energy_cost
from domain.money.prices import TokenPrice
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption
from domain.routing.rent_or_buy import NOTHING, RentOrBuy

LATENESS: Final = Decimal(10)
"""A second past the deadline weighs as much as this many seconds before it."""

THOUSANDTH: Final = Decimal("0.001")


def score_terms(
    found: Estimate,
    option: RoutingOption,
    demand: Demand,
    verdict: RentOrBuy | None,
    *,
    cost_of_warm: Decimal | None = None,
) -> Mapping[str, Decimal]:
    """Return a score's summands, in dollars: what the turn costs, what waiting is worth, what being late may cost.

    A machine that is always on is paid anyway: only its energy counts (`sunk` takes off the rest). Where a session pays
    for itself its price is no part of this turn's (`investment`), and where the deadline leaves
    time for a slow start, waiting for one that pays, or is under way, costs nothing (`patience`): unless a backend that
    is up costs less, `cost_of_warm` dollars.
    """
    terms = {"cost": found.cost, "waiting": waiting_value(found.seconds, demand)}
    if sunk := sunk_cost(found, option):
        terms["sunk"] = -sunk
    if found.late_s:
        terms["lateness"] = demand.time_value * LATENESS * thousandths(found.late_s)
    pays = verdict is not None and verdict.pays
    if pays:
        terms["investment"] = -found.cost
    is_cheapest = cost_of_warm is None or added_cost(found, option) <= cost_of_warm
    waits_free = pays or (option.readiness is Readiness.STARTING and is_cheapest)
    if option.remaining_start_s and not found.late_s and waits_free:
        terms["patience"] = -demand.time_value * thousandths(option.remaining_start_s)
    return terms


def sunk_cost(found: Estimate, option: RoutingOption) -> Decimal:
    """Return the part of a turn's cost that is paid with or without the turn, in dollars."""
    if isinstance(option.price, TokenPrice) or option.backend.cold_start.scales_to_zero:
        return NOTHING
    return max(NOTHING, found.cost - energy_cost(option.price, found.busy_s))


def added_cost(found: Estimate, option: RoutingOption) -> Decimal:
    """Return what a turn adds to the bills of its operator, in dollars."""
    return found.cost - sunk_cost(found, option)


def waiting_value(seconds: float, demand: Demand) -> Decimal:
    """Return what the expected seconds of a turn are worth, in dollars."""
    return demand.time_value * thousandths(seconds)


def thousandths(seconds: float) -> Decimal:
    return round(seconds * 1000) * THOUSANDTH

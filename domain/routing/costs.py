"""What would this turn cost on a backend, what is the worst case, and what is the score as a sum in dollars?"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from domain.money.costing import (
    BackendWork,
    attempt_cost,
    energy_cost,
    marginal_cost,
    time_cost,
    token_cost,
    worst_token_cost,
)
from domain.money.prices import TimePrice, TokenPrice
from domain.money.sessions.transitions import joint_worst_case
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption
from domain.routing.rent_or_buy import NOTHING, RentOrBuy
from domain.routing.work.durations import durations

LATENESS: Final = Decimal(10)
"""A second past the deadline weighs as much as this many seconds before it."""

THOUSANDTH: Final = Decimal("0.001")


def estimate(option: RoutingOption, demand: Demand) -> Estimate:
    if demand.capped:
        demand = demand.read_by(option.backend)
    found = durations(option, demand)
    price = option.price
    if isinstance(price, TokenPrice):
        output = found.expected_output
        cost = token_cost(price, fresh=found.fresh, cached=found.cached, output=output, requests=1)
        worst = worst_token_cost(price, input_tokens=demand.most_input_tokens, output=found.output_tokens)
        why_cost = "its tokens"
    else:
        in_use_s = found.queue_s if option.waiting(demand) else None
        cost, why_cost = expected_cost(option, price, found.busy_s, found.seconds, in_use_s=in_use_s)
        worst = worst_cost(option, price, found.worst_s, found.queue_s)
    return Estimate(
        found.seconds,
        found.busy_s,
        found.late_s,
        found.worst_s,
        cost,
        max(cost, worst),
        found.output_tokens,
        why_cost,
        found.long_seconds,
        found.queue_s,
        found.claim,
        found.decode_tokens_s if option.backend_state.speed.by_load else 0.0,
    )


def expected_cost(
    option: RoutingOption, price: TimePrice, busy_s: float, seconds: float, *, in_use_s: float | None = None
) -> tuple[Decimal, str]:
    """Return what the turn is expected to add to the machine's bill, and what that pays for.

    Other turns use the machine for `in_use_s` seconds once it is up: it stays up for them, and the turn adds the time
    after that. None where there are no others.
    """
    if not option.backend.cold_start.scales_to_zero:
        return attempt_cost(price, BackendWork(busy_s=busy_s, requests=1)), "its busy time"
    if option.readiness is Readiness.COLD:
        return warm_up_cost(
            price, option.backend_state.start_times.p50_s, busy_s
        ), "its start, busy time and idle period"
    stays_until = expiry(option, price)
    if in_use_s is not None:
        stays_until = max(stays_until, option.now + option.remaining_start_s + in_use_s + price.idle_s)
    end = option.now + seconds
    return marginal_cost(price, end=end, expiry=stays_until), "its additional warm time"


def worst_cost(option: RoutingOption, price: TimePrice, busy_s: float, queue_s: float) -> Decimal:
    """Return the most that the turn may add to the bill; never less than what its attempt alone may be charged."""
    if not option.backend.cold_start.scales_to_zero:
        return attempt_cost(price, BackendWork(busy_s=busy_s, requests=1))
    if option.readiness is Readiness.COLD:
        return joint_worst_case(price, seconds=option.backend_state.start_times.p99_s + busy_s)
    end = option.now + option.remaining_start_s + queue_s + busy_s
    return max(time_cost(price, busy_s), marginal_cost(price, end=end, expiry=expiry(option, price)))


def expiry(option: RoutingOption, price: TimePrice) -> float:
    """Return when the machine would scale to zero without this turn, in seconds since the epoch."""
    if option.readiness is Readiness.UP and option.warm_until is not None:
        return option.warm_until
    return option.now + option.remaining_start_s + price.idle_s


def warm_up_cost(price: TimePrice, cold_s: float, busy_s: float) -> Decimal:
    billed_s = (cold_s if price.bills_cold else 0.0) + busy_s + price.idle_s
    return time_cost(price, max(billed_s, price.minimum_s))


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
    if not isinstance(option.price, TokenPrice) and (sunk := sunk_cost(found, option)):
        terms["sunk"] = -sunk
    if found.late_s:
        terms["lateness"] = demand.time_value * LATENESS * thousandths(found.late_s)
    pays = verdict is not None and verdict.pays
    if pays:
        terms["investment"] = -found.cost
    if option.remaining_start_s and not found.late_s and (pays or is_cheapest_start(found, option, cost_of_warm)):
        terms["patience"] = -demand.time_value * thousandths(option.remaining_start_s)
    return terms


def is_cheapest_start(found: Estimate, option: RoutingOption, cost_of_warm: Decimal | None) -> bool:
    """Return whether a backend is starting, and none that is up costs less: `cost_of_warm` dollars."""
    if option.readiness is not Readiness.STARTING:
        return False
    return cost_of_warm is None or added_cost(found, option) <= cost_of_warm


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

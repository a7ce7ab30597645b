"""What would this turn cost on a backend, and what is the worst case?"""

from decimal import Decimal

from domain.money.costing import marginal_cost, time_cost, token_cost, worst_token_cost
from domain.money.prices import TimePrice, TokenPrice
from domain.money.sessions.transitions import joint_worst_case
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption, durations


def estimate(option: RoutingOption, demand: Demand) -> Estimate:
    demand = demand.read_by(option.backend)
    found = durations(option, demand)
    price = option.price
    if isinstance(price, TokenPrice):
        output = found.expected_output
        cost = token_cost(price, fresh=found.fresh, cached=found.cached, output=output, requests=1)
        worst = worst_token_cost(price, input_tokens=demand.most_input_tokens, output=found.output_tokens)
        why_cost = "its tokens"
    else:
        cost, why_cost = expected_cost(option, price, found.busy_s, found.seconds)
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
    )


def expected_cost(option: RoutingOption, price: TimePrice, busy_s: float, seconds: float) -> tuple[Decimal, str]:
    """Return what the turn is expected to add to the machine's bill, and what that pays for."""
    if not option.backend.cold_start.scales_to_zero:
        return time_cost(price, busy_s), "its busy time"
    if option.readiness is Readiness.COLD:
        return warm_up_cost(
            price, option.backend_state.start_times.p50_s, busy_s
        ), "its start, busy time and idle period"
    end = option.now + seconds
    return marginal_cost(price, end=end, expiry=expiry(option, price)), "its additional warm time"


def worst_cost(option: RoutingOption, price: TimePrice, busy_s: float, queue_s: float) -> Decimal:
    """Return the most that the turn may add to the bill; never less than what its attempt alone may be charged."""
    if not option.backend.cold_start.scales_to_zero:
        return time_cost(price, busy_s)
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

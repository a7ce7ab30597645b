"""How long would this turn take on a backend, what would it cost, and what is the worst case of both?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from domain.content.capabilities import Capability
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import AUTO, Backend, ContinuationMode, Model
from domain.money.costing import marginal_cost, rate_cost, time_cost, token_cost
from domain.money.prices import Price, TimePrice, TokenPrice
from domain.routing.rent_or_buy import NOTHING, RentOrBuy

DEFAULT_TIME_VALUE: Final = Decimal("0.0002")
"""The value of one second of a caller's waiting time in dollars: about the price of one second of an L4 GPU."""

LATENESS: Final = Decimal(10)
"""A second past the deadline weighs as much as this many seconds before it."""

THOUSANDTH: Final = Decimal("0.001")

SLOW: Final = 2.0
"""The worst case of an attempt is this many times slower than the learned speed."""

LEAST_WORST_S: Final = 30.0
"""A machine that is busy with other work is slower than its learned speed: every attempt may run for this long."""

NOTHING_EXCLUDED: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """How long one attempt may take, in seconds, as the settings say.

    A backend that is starting may hold the request for `hold_s`. After `handover_s` the attempt hands over to the next
    one; an answer of a backend that can't continue must fit into this time.
    """

    hold_s: float
    handover_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a turn asks for. `model` is auto, a model or model@backend; `deadline_s` is the time left, `budget` the
    dollars left, `time_value` the dollars that a second of waiting is worth; `admitted_at` is seconds since the epoch.

    `input_tokens` is judged against windows, and `output_tokens` is the limit of the answer. What is expected of both
    gives the score, and `ceiling_input_tokens` the worst case of the cost; each is the judged figure where it is not
    known. `excluded` tells why a backend is out of this turn. `residencies` are those allowed; empty allows all.
    """

    input_tokens: int
    output_tokens: int
    attempt_limits: AttemptLimits
    model: str = AUTO
    expected_input_tokens: int | None = None
    expected_output_tokens: int | None = None
    ceiling_input_tokens: int | None = None
    request_bytes: int = 0
    needs: frozenset[Capability] = frozenset()
    tier: str | None = None
    residencies: frozenset[str] = frozenset()
    deadline_s: float | None = None
    budget: Decimal | None = None
    time_value: Decimal = DEFAULT_TIME_VALUE
    excluded: Mapping[str, str] = field(default_factory=lambda: NOTHING_EXCLUDED)
    admitted_at: float = math.inf

    @property
    def window_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def most_input_tokens(self) -> int:
        return max(self.ceiling_input_tokens or 0, self.input_tokens)


class Readiness(StrEnum):
    UP = "up"
    STARTING = "starting"
    COLD = "cold"


class RoutingOption(NamedTuple):
    """One backend with its configuration and its state at one time.

    `remaining_start_s` is the expected time until it is up, if a warm-up is under way or begins now;
    `slow_remaining_start_s` is that of a slow start. `rental_spend` is the recent cost, in dollars, of turns that other
    backends served and this one could have served.
    """

    backend: Backend
    model: Model
    price: Price
    backend_state: BackendState
    now: float
    readiness: Readiness = Readiness.UP
    remaining_start_s: float = 0.0
    slow_remaining_start_s: float = 0.0
    rental_spend: Decimal = NOTHING

    def waiting(self) -> int:
        """Return the number of turns that run or wait before a new one."""
        return self.backend_state.running(self.now) + len(self.backend_state.queue_places)

    @property
    def window(self) -> int:
        return min(self.backend.limits.context_tokens, self.model.context_tokens)

    def work_s(self, input_tokens: int, output_tokens: int) -> float:
        return input_tokens / self.backend_state.prefill_tokens_s + output_tokens / self.backend_state.decode_tokens_s


class Estimate(NamedTuple):
    """What is expected, and the worst case that is reserved: `worst_s` is how long the attempt itself may run.

    `busy_s` of the seconds it is at work. `output_tokens` is how much the backend may write: what the turn allows, or
    less where it can't continue an answer that outlasts an attempt. `late_s` is by how much a slow start would pass the
    deadline.
    """

    seconds: float
    busy_s: float
    late_s: float
    worst_s: float
    cost: Decimal
    worst_cost: Decimal
    output_tokens: int
    why_cost: str


def estimate(option: RoutingOption, demand: Demand) -> Estimate:
    output = writable(option, demand)
    known_input = demand.input_tokens if demand.expected_input_tokens is None else demand.expected_input_tokens
    known_output = output if demand.expected_output_tokens is None else min(output, demand.expected_output_tokens)
    busy_s = option.work_s(known_input, known_output)
    limits = option.backend.limits
    queue_s = busy_s * (option.waiting() // limits.concurrency)
    seconds = option.remaining_start_s + queue_s + busy_s
    longest_hold_s = 0.0 if option.readiness is Readiness.UP else demand.attempt_limits.hold_s
    worst_s = max(LEAST_WORST_S, SLOW * option.work_s(demand.input_tokens, output)) + longest_hold_s
    worst_s = min(limits.request_timeout_s, worst_s)
    if isinstance(option.price, TokenPrice):
        cost = token_cost(option.price, fresh=known_input, output=known_output)
        worst = token_cost(option.price, fresh=demand.most_input_tokens, output=output)
        why_cost = "its tokens"
    else:
        cost, why_cost = expected_cost(option, option.price, busy_s, seconds)
        worst = worst_cost(option, option.price, worst_s, queue_s)
    late = late_s(option, demand, queue_s + busy_s)
    return Estimate(seconds, busy_s, late, worst_s, cost, max(cost, worst), output, why_cost)


def late_s(option: RoutingOption, demand: Demand, work_s: float) -> float:
    """Return by how many seconds a slow start would pass the deadline, to the millisecond that is kept of it."""
    if demand.deadline_s is None or option.readiness is Readiness.UP:
        return 0.0
    return max(0.0, round(option.slow_remaining_start_s + work_s - demand.deadline_s, 3))


def session_cost(option: RoutingOption) -> Decimal:
    """Return what a GPU session costs without its work: its start and its idle period."""
    if isinstance(option.price, TokenPrice):
        return NOTHING
    price, cold_s = option.price, option.backend_state.cold_p50_s
    idle_s = max((cold_s if price.bills_cold else 0.0) + price.idle_s, price.minimum_s)
    return idle_cost(price.amount, price.per_s, price.granularity_ms, idle_s)


@lru_cache(maxsize=256)
def idle_cost(amount: Decimal, per_s: int, granularity_ms: int, idle_s: float) -> Decimal:
    """Return what a machine without work costs: it is the same for every turn, so it is cached."""
    return rate_cost(amount, per_s=per_s, granularity_ms=granularity_ms, seconds=idle_s)


def writable(option: RoutingOption, demand: Demand) -> int:
    """Return how many tokens the backend may write in this turn.

    Of a start, an attempt waits for the last `hold_s` seconds at most; the turn waits for the others without one.
    """
    if option.backend.continues is not ContinuationMode.NO:
        return demand.output_tokens
    attempt_s = min(demand.attempt_limits.handover_s, option.backend.limits.request_timeout_s)
    held_s = min(option.remaining_start_s, demand.attempt_limits.hold_s)
    left_s = attempt_s - held_s - option.work_s(demand.input_tokens, 0)
    return min(demand.output_tokens, int(max(0.0, left_s) * option.backend_state.decode_tokens_s / SLOW))


def expected_cost(option: RoutingOption, price: TimePrice, busy_s: float, seconds: float) -> tuple[Decimal, str]:
    """Return what the turn is expected to add to the machine's bill, and what that pays for."""
    if not option.backend.cold_start.scales_to_zero:
        return time_cost(price, busy_s), "its busy time"
    if option.readiness is Readiness.COLD:
        return warm_up_cost(price, option.backend_state.cold_p50_s, busy_s), "its start, busy time and idle period"
    end = option.now + seconds
    return marginal_cost(price, end=end, expiry=expiry(option, price)), "its additional warm time"


def worst_cost(option: RoutingOption, price: TimePrice, busy_s: float, queue_s: float) -> Decimal:
    """Return the most that the turn may add to the bill; never less than what its attempt alone may be charged."""
    if not option.backend.cold_start.scales_to_zero:
        return time_cost(price, busy_s)
    if option.readiness is Readiness.COLD:
        return warm_up_cost(price, option.backend_state.cold_p99_s, busy_s)
    end = option.now + option.remaining_start_s + queue_s + busy_s
    return max(time_cost(price, busy_s), marginal_cost(price, end=end, expiry=expiry(option, price)))


def expiry(option: RoutingOption, price: TimePrice) -> float:
    """Return when the machine would scale to zero without this turn, in seconds since the epoch."""
    if option.readiness is Readiness.UP and option.backend_state.warm_until is not None:
        return option.backend_state.warm_until
    return option.now + option.remaining_start_s + price.idle_s


def warm_up_cost(price: TimePrice, cold_s: float, busy_s: float) -> Decimal:
    billed_s = (cold_s if price.bills_cold else 0.0) + busy_s + price.idle_s
    return time_cost(price, max(billed_s, price.minimum_s))


def score_terms(
    found: Estimate, option: RoutingOption, demand: Demand, verdict: RentOrBuy | None
) -> Mapping[str, Decimal]:
    """Return a score's summands, in dollars: what the turn costs, what waiting is worth, what being late may cost.

    Where a session pays for itself its price is no part of this turn's (`investment`), and where the deadline leaves
    time for a slow start, waiting for one that pays, or is under way, costs nothing (`patience`).
    """
    waiting = demand.time_value * thousandths(found.seconds)
    terms = {"cost": found.cost, "waiting": waiting}
    if found.late_s:
        terms["lateness"] = demand.time_value * LATENESS * thousandths(found.late_s)
    pays = verdict is not None and verdict.pays
    if pays:
        terms["investment"] = -found.cost
    if option.remaining_start_s and not found.late_s and (pays or option.readiness is Readiness.STARTING):
        terms["patience"] = -demand.time_value * thousandths(option.remaining_start_s)
    return terms


def thousandths(seconds: float) -> Decimal:
    return round(seconds * 1000) * THOUSANDTH

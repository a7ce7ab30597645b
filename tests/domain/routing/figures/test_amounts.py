"""Are the seconds and dollars of an estimate exactly those of its parts?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend
from domain.fleet.health import CIRCUIT_ERRORS, BackendHealth
from domain.fleet.load import Load, QueuePlace
from domain.money.costing import time_cost, token_cost
from domain.money.prices import TimePrice
from domain.routing.answer_lengths import CachedPrefix
from domain.routing.candidates import if_up, rental_decision
from domain.routing.costs import estimate, expiry, warm_up_cost
from domain.routing.estimates import Demand, Readiness, RoutingOption
from domain.routing.filters import LOOK_AGAIN_S
from domain.routing.rent_or_buy import DEFAULT_RULE, Rule, session_price, window_s
from domain.routing.router import route
from domain.routing.work.durations import cached_tokens
from tests.domain.fleets import API as API_PRICE
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, SMALL, backend, fleet
from tests.domain.fleets import GPU as PRICE

NOW = 1_000_000.0
STEADY = backend("steady")
GPU = backend("gpu", cold=SERVERLESS)
API = backend("api", price="api")


def demand(**changes: Any) -> Demand:
    fields: dict[str, Any] = {"input_tokens": 500, "output_tokens": 500, "attempt_limits": ATTEMPT_LIMITS}
    return Demand(**(fields | changes))


def option(of: Backend, state: BackendState | None = None, **changes: Any) -> RoutingOption:
    return replace(RoutingOption(of, SMALL, of.price, state or initial_state(of), NOW), **changes)


def loaded(of: Backend, *, running: int, queued: int) -> BackendState:
    load = Load(
        in_flight={f"a{number}": NOW + 60 for number in range(running)},
        queue_places={f"resp_{number}": QueuePlace(NOW, NOW + 60) for number in range(queued)},
    )
    return replace(initial_state(of), load=load)


def test_running_and_queued_turns_wait_together_and_a_turn_not_for_itself() -> None:
    busy = option(STEADY, loaded(STEADY, running=3, queued=2))
    assert busy.waiting(replace(demand(), response="another")) == 5
    assert busy.waiting(replace(demand(), response="resp_0")) == 4


def test_turns_that_come_later_make_no_turn_wait() -> None:
    busy = option(STEADY, loaded(STEADY, running=3, queued=2))
    assert busy.waiting(replace(demand(), response="another", admitted_at=NOW - 1)) == 3
    assert busy.waiting(replace(demand(), response="resp_1", admitted_at=NOW)) == 4


@pytest.mark.parametrize(("running", "rounds"), [(0, 0), (3, 0), (4, 1), (7, 1), (8, 2)])
def test_a_full_backend_makes_a_turn_wait_for_whole_rounds(running: int, rounds: int) -> None:
    assert STEADY.limits.concurrency == 4
    found = estimate(option(STEADY, loaded(STEADY, running=running, queued=0)), demand())
    assert found.seconds == pytest.approx(found.busy_s * (1 + rounds))


def test_an_estimate_adds_the_start_to_the_work() -> None:
    starting = option(GPU, readiness=Readiness.STARTING, remaining_start_s=20.0)
    assert estimate(starting, demand()).seconds == pytest.approx(20.0 + estimate(option(GPU), demand()).seconds)


def test_the_worst_case_in_seconds_holds_the_request_only_where_a_start_may_be_held() -> None:
    up, cold = (estimate(option(GPU, readiness=each), demand()) for each in (Readiness.UP, Readiness.COLD))
    assert cold.worst_s - up.worst_s == pytest.approx(ATTEMPT_LIMITS.hold_s)
    assert up.worst_s > up.busy_s
    timed = replace(GPU, limits=replace(GPU.limits, request_timeout_s=1.0))
    assert estimate(option(timed), demand()).worst_s == 1.0


def test_tokens_cost_what_the_price_says_for_fresh_and_cached_input() -> None:
    cached = CachedPrefix(backend="api", tokens=200)
    found = estimate(option(API), demand(cached=cached))
    assert found.cost == token_cost(API_PRICE, fresh=300, cached=200, output=500)
    assert found.worst_cost == token_cost(API_PRICE, fresh=500, output=500)
    assert found.why_cost == "its tokens"


def test_only_the_backend_that_has_a_prompt_and_is_up_reads_it_from_its_cache() -> None:
    cached = demand(cached=CachedPrefix(backend="gpu", tokens=200))
    assert cached_tokens(option(GPU), cached, 500) == 200
    assert cached_tokens(option(GPU), cached, 100) == 100
    assert cached_tokens(option(STEADY), cached, 500) == 0
    assert cached_tokens(option(GPU, readiness=Readiness.STARTING), cached, 500) == 0
    assert cached_tokens(option(GPU), demand(), 500) == 0


def test_the_input_of_the_worst_case_is_the_larger_estimate() -> None:
    assert demand(input_tokens=0).most_input_tokens == 0
    assert demand(ceiling_input_tokens=900).most_input_tokens == 900
    assert demand(ceiling_input_tokens=100).most_input_tokens == 500


def price_of(of: RoutingOption) -> TimePrice:
    assert isinstance(of.price, TimePrice)
    return of.price


def test_a_machine_expires_when_it_is_warm_until_or_an_idle_period_after_its_start() -> None:
    assert expiry(option(GPU, warm_until=NOW + 7), PRICE) == NOW + 7
    assert expiry(option(GPU), PRICE) == NOW + PRICE.idle_s
    starting = option(GPU, readiness=Readiness.STARTING, remaining_start_s=20.0, warm_until=NOW + 7)
    assert expiry(starting, PRICE) == NOW + 20.0 + PRICE.idle_s


@pytest.mark.parametrize(("bills_cold", "seconds"), [(True, 630), (False, 610)])
def test_a_warm_up_costs_its_start_where_it_is_billed_the_work_and_the_idle_period(
    seconds: int, *, bills_cold: bool
) -> None:
    price = replace(PRICE, bills_cold=bills_cold)
    assert warm_up_cost(price, 20.0, 10.0) == time_cost(PRICE, seconds)
    assert warm_up_cost(replace(price, minimum_s=5000.0), 20.0, 10.0) == time_cost(PRICE, 5000)


def test_a_session_costs_its_start_and_its_idle_period_and_tokens_have_none() -> None:
    start_s = initial_state(GPU).start_times.p50_s
    assert session_price(PRICE, start_s) == time_cost(PRICE, start_s + PRICE.idle_s)
    assert session_price(replace(PRICE, bills_cold=False), start_s) == time_cost(PRICE, PRICE.idle_s)
    assert session_price(replace(PRICE, minimum_s=5000.0), start_s) == time_cost(PRICE, 5000)
    assert session_price(API_PRICE, start_s) == 0


def test_a_rule_looks_back_over_its_share_of_a_session() -> None:
    assert Rule() == Rule(threshold=1.0, keep=1.0, window=1.0)
    cold = option(GPU, readiness=Readiness.COLD)
    found = rental_decision(cold, Decimal(1))
    assert found is not None
    assert found.window_s == pytest.approx(DEFAULT_RULE.window * window_s(GPU, GPU.cold_start.p50_s))
    assert rental_decision(option(STEADY), Decimal(1)) is None
    assert rental_decision(option(GPU), None) is None
    assert rental_decision(cold, None) is not None


def test_a_started_machine_is_up_for_an_idle_period() -> None:
    cold = option(GPU, readiness=Readiness.COLD, remaining_start_s=20.0, slow_remaining_start_s=90.0)
    up = if_up(cold)
    assert (up.readiness, up.remaining_start_s, up.slow_remaining_start_s) == (Readiness.UP, 0.0, 0.0)
    assert up.warm_until == NOW + GPU.cold_start.idle_s


def rejected(health: BackendHealth) -> tuple[str, float | None]:
    states = {"steady": replace(initial_state(STEADY), health=health)}
    [found] = route(demand(), fleet(STEADY), states, NOW).rejected
    return found.code, found.retry_in_s


def test_a_failing_backend_is_looked_at_again_to_the_millisecond() -> None:
    throttled = BackendHealth(cooldown_until=NOW + 1.23456, failed_at=NOW)
    assert rejected(throttled) == ("cooldown", 1.235)
    broken = BackendHealth(errors=CIRCUIT_ERRORS, circuit_open_until=NOW + 2.00042, failed_at=NOW)
    assert rejected(broken) == ("circuit", 2.0)
    tried = BackendHealth(errors=CIRCUIT_ERRORS, failed_at=NOW, probe_by="resp_a", probe_until=NOW + 9)
    assert rejected(tried) == ("probe", LOOK_AGAIN_S) == ("probe", 2.0)

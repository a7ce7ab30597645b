"""Does each filter and estimate of the router decide rightly at its very edge?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import Backend, ContinuationMode
from domain.money.costing import time_cost
from domain.money.prices import TimePrice
from domain.routing.costs import expected_cost, worst_cost
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption
from domain.routing.filters import by_budget, by_output, by_payload, by_room, by_time, by_window
from domain.routing.router import options
from domain.routing.work.durations import late_s, writable
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, SMALL, backend, fleet, limits
from tests.domain.fleets import GPU as PRICE

NOW = 1_000_000.0


def demand(**changes: Any) -> Demand:
    fields: dict[str, Any] = {"input_tokens": 500, "output_tokens": 500, "attempt_limits": ATTEMPT_LIMITS}
    return Demand(**(fields | changes))


def option(of: Backend, **changes: Any) -> RoutingOption:
    return replace(RoutingOption(of, SMALL, of.price, initial_state(of), NOW), **changes)


def estimate(**changes: Any) -> Estimate:
    usual = Estimate(
        seconds=10.0,
        busy_s=10.0,
        late_s=0.0,
        worst_s=20.0,
        cost=Decimal("0.01"),
        worst_cost=Decimal("0.02"),
        output_tokens=500,
        why_cost="a test",
    )
    return replace(usual, **changes)


@pytest.mark.parametrize(("window", "fits"), [(1001, True), (1000, True), (999, False)])
def test_a_turn_that_fills_the_window_fits(window: int, *, fits: bool) -> None:
    narrow = option(backend("narrow", bounds=limits(context_tokens=window)))
    assert (by_window(narrow, demand()) is None) is fits


@pytest.mark.parametrize(("size", "fits"), [(99, True), (100, True), (101, False)])
def test_a_request_of_exactly_the_limit_is_accepted(size: int, *, fits: bool) -> None:
    small = option(backend("small", bounds=limits(request_bytes=100)))
    assert (by_payload(small, demand(request_bytes=size)) is None) is fits


@pytest.mark.parametrize(("left_s", "fits"), [(10.1, True), (10.0, True), (9.9, False), (None, True)])
def test_a_turn_that_ends_at_its_deadline_is_in_time(left_s: float | None, *, fits: bool) -> None:
    assert (by_time(estimate(seconds=10.0), demand(deadline_s=left_s)) is None) is fits


@pytest.mark.parametrize(("budget", "fits"), [("0.021", True), ("0.02", True), ("0.019", False)])
def test_a_turn_that_may_cost_the_whole_budget_is_within_it(budget: str, *, fits: bool) -> None:
    assert (by_budget(estimate(), demand(budget=Decimal(budget))) is None) is fits


@pytest.mark.parametrize(("writable_tokens", "wanted", "fits"), [(1, 500, True), (0, 500, False), (0, 0, True)])
def test_one_token_is_room_enough(writable_tokens: int, wanted: int, *, fits: bool) -> None:
    found = estimate(output_tokens=writable_tokens)
    assert (by_room(found, demand(output_tokens=wanted)) is None) is fits


def test_an_option_without_changes_is_up_and_starts_at_once() -> None:
    plain = option(backend("plain"))
    assert (plain.readiness, plain.remaining_start_s, plain.slow_remaining_start_s) == (Readiness.UP, 0.0, 0.0)


def test_a_warm_backend_of_the_fleet_has_no_start_left() -> None:
    [found] = options(fleet(backend("steady")), {}, NOW, spent={})
    assert (found.readiness, found.remaining_start_s, found.slow_remaining_start_s) == (Readiness.UP, 0.0, 0.0)


@pytest.mark.parametrize(("slow_s", "late"), [(90.0, 0.0), (90.001, 0.001), (90.0004, 0.0), (90.0126, 0.013)], ids=str)
def test_lateness_is_kept_to_the_millisecond(slow_s: float, late: float) -> None:
    starting = option(backend("gpu", cold=SERVERLESS), readiness=Readiness.COLD, slow_remaining_start_s=slow_s)
    assert late_s(starting, demand(deadline_s=100.0), 10.0) == pytest.approx(late, abs=1e-9)


def test_a_backend_that_is_up_or_a_turn_without_a_deadline_is_never_late() -> None:
    late = option(backend("gpu", cold=SERVERLESS), slow_remaining_start_s=1e6)
    assert late_s(late, demand(deadline_s=1.0), 10.0) == 0.0
    assert late_s(replace(late, readiness=Readiness.COLD), demand(), 10.0) == 0.0


def price_of(of: RoutingOption) -> TimePrice:
    assert isinstance(of.price, TimePrice)
    return of.price


def test_a_machine_that_is_always_on_costs_its_busy_time() -> None:
    steady = option(backend("steady"))
    assert expected_cost(steady, price_of(steady), 10.0, 99.0) == (time_cost(PRICE, 10.0), "its busy time")
    assert worst_cost(steady, price_of(steady), 10.0, 99.0) == time_cost(PRICE, 10.0)


def test_a_machine_that_scales_to_zero_costs_more_than_its_busy_time_while_it_is_cold() -> None:
    cold = option(backend("gpu", cold=SERVERLESS), readiness=Readiness.COLD)
    cost, pays_for = expected_cost(cold, price_of(cold), 10.0, 99.0)
    assert pays_for == "its start, busy time and idle period"
    assert time_cost(PRICE, 10.0) < cost < worst_cost(cold, price_of(cold), 10.0, 0.0)


def test_a_queue_lengthens_the_worst_case_of_a_warm_machine() -> None:
    warm = option(backend("gpu", cold=SERVERLESS), warm_until=NOW + 1.0)
    worst = [worst_cost(warm, price_of(warm), 10.0, queue_s) for queue_s in (0.0, 5.0)]
    assert worst[1] - worst[0] == pytest.approx(PRICE.amount * 5)
    later = worst_cost(replace(warm, remaining_start_s=5.0), price_of(warm), 10.0, 0.0)
    assert later == worst[1]


def test_a_backend_that_continues_may_write_all_that_is_wanted() -> None:
    one = backend("one")
    assert one.continues is not ContinuationMode.NO
    assert writable(option(one), demand(output_tokens=100_000)) == 100_000


def test_a_backend_that_cannot_continue_writes_what_fits_in_one_attempt() -> None:
    afresh = option(replace(backend("afresh"), continues=ContinuationMode.NO))
    whole = writable(afresh, demand(output_tokens=10**9))
    assert 0 < whole < 10**9
    assert writable(afresh, demand(output_tokens=whole - 1)) == whole - 1
    held = writable(replace(afresh, remaining_start_s=10.0), demand(output_tokens=10**9))
    assert held < whole
    most = writable(replace(afresh, remaining_start_s=1e6), demand(output_tokens=10**9))
    assert most == writable(replace(afresh, remaining_start_s=ATTEMPT_LIMITS.hold_s), demand(output_tokens=10**9))


def test_the_longest_output_of_the_backend_is_still_allowed() -> None:
    short = option(backend("short", bounds=limits(max_output_tokens=500)))
    assert by_output(short, demand(output_tokens=500)) is None
    assert (
        by_output(short, demand(output_tokens=501)) == "the answer may have 501 tokens; this backend writes at most 500"
    )

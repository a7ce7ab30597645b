"""Is a candidate compared with exactly the alternatives that the turn really has?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import Backend, ContinuationMode
from domain.money.prices import TokenPrice
from domain.routing.candidates import (
    Candidate,
    Comparison,
    compare,
    evaluate,
    plain_score,
    seconds_if_up,
)
from domain.routing.costs import added_cost, estimate, waiting_value
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption
from domain.routing.filters import LATE, Filters, ModelChoice, filters_for
from domain.routing.rent_or_buy import RentOrBuy
from tests.domain.fleets import API as API_PRICE
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, SMALL, backend, limits

NOW = 1_000_000.0
GPU = backend("gpu", cold=SERVERLESS)
STEADY = backend("steady")


def demand(**changes: Any) -> Demand:
    fields: dict[str, Any] = {"input_tokens": 500, "output_tokens": 500, "attempt_limits": ATTEMPT_LIMITS}
    return Demand(**(fields | changes))


def filters(asked: Demand) -> Filters:
    return filters_for(asked, ModelChoice(model=None, backend=None, tier=1))


def option(of: Backend, **changes: Any) -> RoutingOption:
    return replace(RoutingOption(of, SMALL, of.price, initial_state(of), NOW), **changes)


def api(name: str, factor: Decimal) -> Backend:
    price: TokenPrice = replace(API_PRICE, input=API_PRICE.input * factor, output=API_PRICE.output * factor)
    return replace(backend(name, price="api"), price=price)


def starting(of: Backend, remaining_s: float = 20.0) -> RoutingOption:
    return option(of, readiness=Readiness.STARTING, remaining_start_s=remaining_s, slow_remaining_start_s=remaining_s)


def cold(of: Backend, remaining_s: float = 60.0) -> RoutingOption:
    return option(of, readiness=Readiness.COLD, remaining_start_s=remaining_s, slow_remaining_start_s=remaining_s)


def compared(*options: RoutingOption, asked: Demand | None = None) -> Comparison:
    each = filters(asked or demand())
    return compare([evaluate(one, each) for one in options], each)


def of(comparison: Comparison, name: str) -> Candidate:
    [found] = [one for one in (*comparison.candidates, *comparison.cold) if one.backend == name][:1]
    return found


def found(**changes: Any) -> Estimate:
    usual = estimate(option(GPU), demand())
    return replace(usual, **({"seconds": 10.0, "cost": Decimal("0.01"), "why_cost": "a test"} | changes))


def session(*, pays: bool = False) -> RentOrBuy:
    return RentOrBuy(price=Decimal(1), spent=Decimal(0), scheduled=Decimal(0), window_s=600, pays=pays)


def candidate(late_s: float, readiness: Readiness, rented: RentOrBuy | None) -> Candidate:
    return Candidate("gpu", found(late_s=late_s), {}, Decimal(0), readiness, session=rented)


@pytest.mark.parametrize(
    ("late_s", "readiness", "rented", "is_last"),
    [
        (0.0, Readiness.UP, None, False),
        (0.001, Readiness.UP, None, True),
        (0.0, Readiness.COLD, session(), True),
        (0.0, Readiness.COLD, session(pays=True), False),
        (0.0, Readiness.COLD, None, False),
        (0.0, Readiness.UP, session(), False),
        (0.5, Readiness.COLD, session(), True),
    ],
)
def test_a_backend_that_may_be_late_or_starts_for_nothing_is_the_last_choice(
    late_s: float, readiness: Readiness, rented: RentOrBuy | None, *, is_last: bool
) -> None:
    one = candidate(late_s, readiness, rented)
    assert one.is_last is is_last
    assert (one.why_last is not None) is is_last


def test_the_reason_for_the_last_choice_names_its_cause() -> None:
    assert candidate(0.5, Readiness.COLD, session()).why_last == "a slow start would exceed the deadline by 0.5 s"
    assert candidate(0.0, Readiness.COLD, session()).why_last == session().reason


def test_seconds_are_shown_from_the_milliseconds_that_are_kept() -> None:
    one = Candidate("gpu", found(seconds=12.0499), {}, Decimal(0))
    assert one.reason == "is up: estimated 12.1 s and $0.010000 for a test"
    assert one.remaining_start_s == 0.0


def test_without_a_backend_that_is_up_waiting_for_any_start_under_way_is_free() -> None:
    dear = replace(GPU, name="dear", speed=replace(GPU.speed, decode_tokens_s=5))
    both = compared(starting(GPU), starting(dear))
    assert of(both, "gpu").cost < of(both, "dear").cost
    assert {"patience" in of(both, name).terms for name in ("gpu", "dear")} == {True}


def test_waiting_for_a_start_is_free_unless_the_cheapest_backend_that_is_up_costs_less() -> None:
    started = estimate(starting(GPU), demand())
    cheap, dear = api("cheap", Decimal("0.001")), api("dear", Decimal(1000))
    costs = {each.name: added_cost(estimate(option(each), demand()), option(each)) for each in (cheap, dear)}
    assert costs["cheap"] < added_cost(started, starting(GPU)) < costs["dear"]
    assert "patience" in of(compared(starting(GPU), option(dear)), "gpu").terms
    assert "patience" not in of(compared(starting(GPU), option(cheap), option(dear)), "gpu").terms


def test_a_cold_backend_that_cannot_serve_the_turn_is_still_compared_with_one_that_starts() -> None:
    quick, slow = replace(GPU, name="quick"), replace(GPU, name="slow")
    asked = demand(deadline_s=30.0)
    both = compared(starting(quick, 60.0), cold(slow, 60.0), asked=asked)
    assert both.candidates == ()
    [late] = both.cold
    assert late.session is not None
    assert late.session.scheduled == 0
    alone = compared(starting(quick, 60.0), cold(slow, 1.0), asked=asked)
    [able] = alone.cold
    assert able.session is not None
    assert able.session.scheduled is None


def scheduled(comparison: Comparison, name: str) -> Decimal | None:
    rented = of(comparison, name).session
    return None if rented is None else rented.scheduled


def saved(alternative: Decimal, of_gpu: Backend) -> Decimal:
    return max(Decimal(0), alternative - waiting_value(estimate(option(of_gpu), demand()).seconds, demand()))


def test_a_warm_gpu_is_compared_with_the_best_that_is_always_on() -> None:
    slow = replace(STEADY, name="slow", speed=replace(STEADY.speed, decode_tokens_s=5))
    quick = replace(GPU, speed=replace(GPU.speed, decode_tokens_s=500))
    every = compared(option(STEADY), option(slow), option(quick))
    best, worst = of(every, "steady").score, of(every, "slow").score
    assert best < worst
    assert scheduled(every, "gpu") == saved(best, quick) > 0
    assert scheduled(compared(option(quick)), "gpu") is None


def test_warm_gpus_are_compared_with_the_best_of_the_others() -> None:
    speeds = {"fast": 200.0, "even": 50.0, "slow": 5.0}
    gpus = {name: replace(GPU, name=name, speed=replace(GPU.speed, decode_tokens_s=at)) for name, at in speeds.items()}
    scores = {name: plain_score(evaluate(option(each), filters(demand())), demand()) for name, each in gpus.items()}
    assert scores["fast"] < scores["even"] < scores["slow"]
    every = compared(*(option(each) for each in gpus.values()))
    others = {"fast": scores["even"], "even": scores["fast"], "slow": scores["fast"]}
    for name, other in others.items():
        assert scheduled(every, name) == saved(other, gpus[name])
    assert scheduled(every, "fast") != 0


def seconds_of(one: RoutingOption, asked: Demand) -> float | None:
    return seconds_if_up(evaluate(one, filters(asked)))


def test_the_seconds_of_a_backend_that_is_up_count_only_where_it_can_serve_the_turn() -> None:
    assert seconds_of(option(GPU), demand()) == estimate(option(GPU), demand()).seconds
    rejected = evaluate(option(GPU), filters(demand(deadline_s=1.0)))
    assert rejected.rejection is not None
    assert (rejected.rejection.code, rejected.found is None) == (LATE, False)
    assert seconds_if_up(rejected) is None


@pytest.mark.parametrize(
    ("changes", "can"),
    [
        ({}, True),
        ({"budget": Decimal(10)}, True),
        ({"budget": Decimal(0)}, False),
        ({"deadline_s": 1.0}, False),
        ({"deadline_s": 1.0, "budget": Decimal(10)}, False),
        ({"deadline_s": 100.0, "budget": Decimal(10)}, True),
    ],
)
def test_a_cold_backend_is_judged_as_if_it_were_up_by_time_and_budget(changes: dict[str, Any], *, can: bool) -> None:
    asked = demand(**changes)
    up_s = estimate(option(GPU), demand()).seconds
    assert seconds_of(cold(GPU), asked) == (pytest.approx(up_s) if can else None)


def test_starting_backends_bound_what_a_cold_one_may_save() -> None:
    quick, slow = replace(GPU, name="quick"), replace(GPU, name="slow")
    both = compared(starting(quick), cold(slow))
    assert scheduled(both, "slow") == saved(waiting_value(estimate(option(quick), demand()).seconds, demand()), slow)
    faster = replace(GPU, name="faster", speed=replace(GPU.speed, decode_tokens_s=500))
    assert scheduled(compared(starting(quick), cold(faster)), "faster") != 0


@pytest.mark.parametrize("continues", [ContinuationMode.NO, ContinuationMode.ASSISTANT_PREFILL])
def test_a_backend_that_cannot_continue_writes_more_once_it_is_up(continues: ContinuationMode) -> None:
    short = replace(GPU, continues=continues, limits=limits(request_timeout_s=60))
    asked = demand(output_tokens=4000)
    up_s = estimate(option(short), asked).seconds
    assert seconds_of(starting(short), asked) == pytest.approx(up_s)
    started = estimate(starting(short), asked)
    writes_less = started.output_tokens < estimate(option(short), asked).output_tokens
    assert writes_less is (continues is ContinuationMode.NO)

"""Is every nano-dollar of a bill right?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.costing import (
    NANO,
    BackendWork,
    attempt_cost,
    marginal_cost,
    rounded,
    time_cost,
    worst_token_cost,
)
from domain.money.prices import PriceKind, TimePrice
from tests.domain.fleets import API, GPU
from tests.domain.money.sessions.session_costs import session_cost, union_s

PER_SECOND = Decimal("0.0003947")


def test_the_machine_s_rate_is_the_sum_of_its_parts() -> None:
    assert GPU.amount == PER_SECOND


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0"),
        (0.1, "0.00003947"),
        (0.100001, "0.00007894"),
        (0.3, "0.00011841"),
        (1.0, "0.0003947"),
        (3600.0, "1.42092"),
        (-5.0, "0"),
    ],
)
def test_busy_time_is_billed_in_whole_steps(seconds: float, expected: str) -> None:
    assert time_cost(GPU, seconds) == Decimal(expected)


def test_an_hourly_price_is_billed_by_its_minutes() -> None:
    hourly = replace(GPU, kind=PriceKind.PER_HOUR, per_s=3600, granularity_ms=60_000)
    assert time_cost(hourly, 61) == rounded(PER_SECOND * 120 / 3600)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (BackendWork(input_tokens=1_000_000), "0.40"),
        (BackendWork(output_tokens=1_000_000), "1.60"),
        (BackendWork(input_tokens=1_000_000, cached_tokens=1_000_000), "0.10"),
        (BackendWork(input_tokens=1000, cached_tokens=400, output_tokens=10), "0.000296"),
        (BackendWork(input_tokens=10, cached_tokens=99), "0.000001"),
        (BackendWork(busy_s=3600), "0"),
    ],
)
def test_tokens_are_billed_by_the_million_and_cached_ones_at_their_own_price(work: BackendWork, expected: str) -> None:
    assert attempt_cost(API, work) == Decimal(expected)


CACHING = replace(API, cache_write=Decimal("0.50"), request=Decimal("0.0005"))


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (BackendWork(input_tokens=1_000_000, written_tokens=1_000_000), "0.50"),
        (BackendWork(input_tokens=1000, cached_tokens=400, written_tokens=100), "0.00029"),
        (BackendWork(input_tokens=10, cached_tokens=6, written_tokens=99), "0.0000026"),
        (BackendWork(requests=2), "0.001"),
        (BackendWork(output_tokens=1_000_000, requests=1), "1.6005"),
    ],
)
def test_requests_and_tokens_that_are_written_to_a_cache_have_prices_of_their_own(
    work: BackendWork, expected: str
) -> None:
    assert attempt_cost(CACHING, work) == Decimal(expected)


def test_tokens_that_are_written_to_a_cache_without_a_price_of_its_own_are_input() -> None:
    assert attempt_cost(API, BackendWork(input_tokens=1000, written_tokens=700)) == attempt_cost(
        API, BackendWork(input_tokens=1000)
    )


@pytest.mark.parametrize(("nanos", "expected"), [("0.5", 0), ("1.5", 2), ("2.5", 2), ("2.500001", 3), ("2.4999", 2)])
def test_amounts_are_rounded_half_to_even(nanos: str, expected: int) -> None:
    assert rounded(Decimal(nanos) * NANO) == expected * NANO


def test_an_isolated_request_pays_for_its_start_and_its_tail() -> None:
    cost = session_cost(GPU, cold_s=60, busy=[(60, 65)])
    assert cost == rounded(PER_SECOND * (60 + 5 + 600))
    assert round(cost, 2) == Decimal("0.26")


def test_a_start_that_is_not_billed_costs_nothing() -> None:
    assert session_cost(replace(GPU, bills_cold=False), cold_s=60, busy=[(60, 65)]) == rounded(PER_SECOND * 605)


def test_a_session_is_billed_for_its_minimum() -> None:
    short = replace(GPU, idle_s=0.0, minimum_s=60.0)
    assert session_cost(short, cold_s=1, busy=[(1, 2)]) == rounded(PER_SECOND * 60)


def test_a_request_that_runs_inside_anothers_time_adds_nothing() -> None:
    assert marginal_cost(GPU, end=100, expiry=900) == 0
    assert marginal_cost(GPU, end=310, expiry=900) == rounded(PER_SECOND * 10)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0),
        ([(0, 5)], 5),
        ([(0, 5), (3, 8)], 8),
        ([(0, 10), (2, 3)], 10),
        ([(5, 6), (0, 1)], 2),
        ([(3, 1)], 0),
    ],
)
def test_time_that_spans_share_counts_once(spans: list[tuple[float, float]], expected: float) -> None:
    assert union_s(spans) == expected


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_request_costs_more_than_its_worst_case(read: int, cached: int, written: int, output: int) -> None:
    work = BackendWork(
        input_tokens=read, cached_tokens=cached, written_tokens=written, output_tokens=output, requests=1
    )
    for price in (API, CACHING, replace(CACHING, cache_write=Decimal("0.05"))):
        assert attempt_cost(price, work) <= worst_token_cost(price, input_tokens=read, output=output)


whole_seconds = st.integers(min_value=0, max_value=100_000)
tokens = st.integers(min_value=0, max_value=10_000_000)
works = st.builds(BackendWork, input_tokens=tokens, cached_tokens=tokens, output_tokens=tokens, busy_s=whole_seconds)


@given(works)
def test_nothing_costs_less_than_nothing(work: BackendWork) -> None:
    assert attempt_cost(API, work) >= 0
    assert attempt_cost(GPU, work) >= 0


@given(works, works)
def test_more_work_never_costs_less(one: BackendWork, other: BackendWork) -> None:
    both = BackendWork(
        input_tokens=one.input_tokens + other.input_tokens,
        cached_tokens=one.cached_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        busy_s=one.busy_s + other.busy_s,
    )
    for price in (API, GPU):
        assert attempt_cost(price, both) >= attempt_cost(price, one)


@given(tokens, tokens, tokens, tokens)
def test_tokens_cost_the_same_together_as_apart(a: int, b: int, c: int, d: int) -> None:
    apart = attempt_cost(API, BackendWork(input_tokens=a, output_tokens=b)) + attempt_cost(
        API, BackendWork(input_tokens=c, output_tokens=d)
    )
    together = attempt_cost(API, BackendWork(input_tokens=a + c, output_tokens=b + d))
    assert abs(apart - together) <= 2 * NANO


@given(st.floats(min_value=0, max_value=1e6), st.floats(min_value=0, max_value=1e6))
def test_time_in_pieces_costs_at_least_what_it_costs_whole(one: float, other: float) -> None:
    assert time_cost(GPU, one) + time_cost(GPU, other) >= time_cost(GPU, one + other)


PRECISE: TimePrice = replace(GPU, granularity_ms=1000)


@given(
    cold_s=whole_seconds,
    first=st.tuples(whole_seconds, whole_seconds),
    gaps=st.lists(st.tuples(st.integers(min_value=0, max_value=600), whole_seconds), max_size=6),
)
def test_a_session_costs_its_first_request_and_the_margins_of_the_others(
    cold_s: int, first: tuple[int, int], gaps: list[tuple[int, int]]
) -> None:
    start, length = first
    spans = [(start, start + length)]
    expiry = start + length + PRECISE.idle_s
    margins = Decimal(0)
    for gap, length in gaps:
        begins = spans[-1][1] + gap
        spans.append((begins, begins + length))
        margins += marginal_cost(PRECISE, end=begins + length, expiry=expiry)
        expiry = max(expiry, begins + length + PRECISE.idle_s)
    whole = session_cost(PRECISE, cold_s=cold_s, busy=spans)
    alone = session_cost(PRECISE, cold_s=cold_s, busy=spans[:1])
    assert abs(whole - alone - margins) <= NANO * (len(gaps) + 1)


session_spans = st.lists(st.tuples(whole_seconds, whole_seconds), max_size=8)


@given(session_spans.flatmap(lambda spans: st.tuples(st.just(spans), st.permutations(spans))))
def test_a_session_s_cost_does_not_depend_on_the_order_of_its_requests(
    orders: tuple[list[tuple[int, int]], list[tuple[int, int]]],
) -> None:
    one, other = orders
    assert session_cost(GPU, cold_s=1, busy=one) == session_cost(GPU, cold_s=1, busy=other)

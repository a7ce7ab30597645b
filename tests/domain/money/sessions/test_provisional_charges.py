"""Is what a member is charged till a session is closed never below its final share, and as low as is known?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.costing import BillLine
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import shares
from domain.money.sessions.provisional_charges import (
    dollars,
    provisional_charge,
    provisional_warm_up,
    revised_charges,
    shared_idle_s,
)
from tests.domain.money.sessions.played_sessions import (
    PRICE,
    RATE,
    START,
    histories,
    played,
    prices,
    session,
    span,
    together,
)


@given(requests=histories, price=prices, cold_s=st.sampled_from([0.0, 3.0, 25.5]), warms_up=st.booleans())
def test_nobody_has_to_pay_more_in_the_end_than_he_was_charged_till_then(
    requests: list[tuple[int, int]], price: TimePrice, cold_s: float, *, warms_up: bool
) -> None:
    over, spans, charged = played(together(requests, price.idle_s), price=price, cold_s=cold_s, warms_up=warms_up)
    paid = shares(over, spans, price)
    assert {name: sum(part.values()) <= charged[name] for name, part in paid.items()} == dict.fromkeys(paid, True)


@given(
    requests=histories,
    price=prices,
    cold_s=st.sampled_from([0.0, 25.5]),
    at=st.integers(1, 3000),
    warms_up=st.booleans(),
)
def test_a_review_leaves_everybody_what_he_has_to_pay_in_the_end(
    requests: list[tuple[int, int]], price: TimePrice, cold_s: float, at: int, *, warms_up: bool
) -> None:
    kept = together(requests, price.idle_s)
    over, spans, _ = played(kept, price=price, cold_s=cold_s, warms_up=warms_up)
    paid, now = shares(over, spans, price), START + at / 10
    there = [span if span.ended and span.ended <= now else replace(span, ended=None) for span in spans]
    known = [span for span in there if span.began <= now]
    for record, part in revised_charges(over, known, price, now).items():
        assert sum(part.values()) >= sum(paid[record].values())


def test_a_review_shares_what_ran_together() -> None:
    going_on = session(cold_s=0.0, ends=START + 20).with_ready_at(START)
    spans = [span("a", 0, 20), span("b", 10, 20), span("c", 70, None)]
    step = RATE // 10
    assert revised_charges(going_on, spans, PRICE, START + 79) == {}
    assert revised_charges(going_on, spans, PRICE, START + 80) == {
        "a": {BillLine.GPU: 15 * RATE, BillLine.COLD: 0, BillLine.TAIL: 30 * RATE + step},
        "b": {BillLine.GPU: 5 * RATE, BillLine.COLD: 0, BillLine.TAIL: 30 * RATE + step},
    }


@pytest.mark.parametrize(("recent", "expected"), [((), 60.0), ((0.0,), 30.0), ((-30.0,), 45.0), ((0.0, 0.0), 20.0)])
def test_a_tail_is_shared_with_those_whose_tail_it_is_too(recent: tuple[float, ...], expected: float) -> None:
    now = replace(session(cold_s=0.0).with_ready_at(START), recent_ends=tuple(START + 100 + end for end in recent))
    assert shared_idle_s(now, 60.0, START + 100) == pytest.approx(expected)


STEP = RATE // 10
"""A step of the price is 100 ms."""


def test_a_request_that_meets_a_start_pays_its_rest_and_the_whole_idle_period() -> None:
    starting = session(cold_s=10.0)
    charge = provisional_charge(starting, PRICE, began=START + 4, ended=START + 15)
    assert charge == {BillLine.COLD: 6 * RATE, BillLine.GPU: 5 * RATE, BillLine.TAIL: 60 * RATE + STEP}
    free = replace(PRICE, bills_cold=False)
    assert provisional_charge(starting, free, began=START + 4, ended=START + 15)[BillLine.COLD] == 0


def test_a_request_that_ends_before_the_machine_is_ready_pays_no_work() -> None:
    charge = provisional_charge(session(cold_s=10.0), PRICE, began=START, ended=START + 5)
    assert charge == {BillLine.COLD: 10 * RATE, BillLine.GPU: 0, BillLine.TAIL: 60 * RATE + STEP}


def test_the_shortest_time_of_a_price_is_paid_by_whoever_is_known_to_be_there() -> None:
    price = replace(PRICE, minimum_s=120.0)
    ready = session(cold_s=0.0).with_ready_at(START)
    assert provisional_charge(ready, price, began=START, ended=START + 10)[BillLine.TAIL] == 110 * RATE + STEP
    assert provisional_warm_up(price, 10.0)[BillLine.TAIL] == 110 * RATE + STEP
    assert revised_charges(ready, [span("a", 0, 10)], price, START + 119) == {}


def test_a_warm_up_that_nobody_shares_pays_its_start_and_the_idle_period() -> None:
    assert provisional_warm_up(PRICE, 10.0) == {
        BillLine.GPU: 0,
        BillLine.COLD: 10 * RATE,
        BillLine.TAIL: 60 * RATE + STEP,
    }
    assert provisional_warm_up(replace(PRICE, bills_cold=False), 10.0)[BillLine.COLD] == 0


def test_a_part_is_shown_in_dollars() -> None:
    assert dollars({BillLine.GPU: 15 * RATE}) == {BillLine.GPU: Decimal("0.0059205")}

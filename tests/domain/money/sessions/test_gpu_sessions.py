"""Does a session cost what its machine lived, and do its members pay exactly that, each for his own part?"""

import math
from collections.abc import Sequence
from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.costing import BillLine
from domain.money.ledger_records import NANOS
from domain.money.prices import PriceComponent, PriceKind, PriceSource, TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan, session_cost, shares
from domain.money.sessions.provisional_charges import (
    provisional_charge,
    provisional_warm_up,
    revised_charges,
    shared_idle_s,
)
from tests.checks import every
from tests.domain.logs import through_json

START = 1_800_000_000.0
PRICE = TimePrice(
    name="gpu",
    origin=PriceSource(source="a test", date="2026-11", region="nowhere"),
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="machine", amount=Decimal("0.0003947"), count=Decimal(1)),),
    per_s=1,
    granularity_ms=100,
    idle_s=60.0,
)
RATE = 394_700
"""Nano-dollars a second."""


def session(
    *, started: float = START, cold_s: float = 10.0, ends: float | None = None, warm_up_record: str = ""
) -> GpuSession:
    last = started if ends is None else ends
    return GpuSession(
        id="s", backend="gpu", price="gpu", started=started, cold_s=cold_s, last_end=last, warm_up_record=warm_up_record
    )


def span(name: str, began: float, ended: float | None, *, warms_up: bool = False) -> SessionSpan:
    until = None if ended is None else START + ended
    return SessionSpan(
        record=name, tenant="t", subject="u", response="r", began=START + began, ended=until, is_warm_up=warms_up
    )


def played(
    requests: Sequence[tuple[float, float]], *, price: TimePrice, cold_s: float, warms_up: bool
) -> tuple[GpuSession, list[SessionSpan], dict[str, int]]:
    """Let requests (begin and length, in tenths of a second) come to a machine; return what each was charged."""
    now = session(cold_s=cold_s, warm_up_record="wake" if warms_up else "").with_ready_at(START + cold_s)
    spans = [span("wake", 0, None, warms_up=True)] if warms_up else []
    charged = {"wake": sum(provisional_warm_up(price, cold_s).values())} if warms_up else {}
    ends = sorted((began + length, number) for number, (began, length) in enumerate(requests))
    for end, number in ends:
        began, ended = requests[number][0] / 10, max(end / 10, cold_s)
        charged[str(number)] = sum(provisional_charge(now, price, began=START + began, ended=START + ended).values())
        spans.append(span(str(number), began, ended))
        now = now.with_ended_member(str(number), START + ended)
    return replace(now, members=len(spans)), spans, charged


def together(requests: Sequence[tuple[int, int]], tail_s: float) -> list[tuple[int, int]]:
    """Return the requests that come before the machine has gone."""
    kept: list[tuple[int, int]] = []
    reached, (first, _) = 0.0, min(requests)
    for began, length in sorted(requests):
        if kept and (began - first) / 10 > reached + tail_s:
            break
        kept.append((began - first, length))
        reached = max(reached, (began - first + length) / 10)
    return kept


histories = st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 400)), min_size=1, max_size=12)


@st.composite
def prices_of(draw: st.DrawFn) -> TimePrice:
    steps, tails = st.sampled_from([100, 1000, 60_000]), st.sampled_from([0.0, 5.0, 60.0])
    return replace(PRICE, granularity_ms=draw(steps), idle_s=draw(tails), bills_cold=draw(st.booleans()))


prices = prices_of()


@given(requests=histories, price=prices, cold_s=st.sampled_from([0.0, 3.0, 25.5]), warms_up=st.booleans())
def test_the_members_pay_exactly_what_the_session_cost(
    requests: list[tuple[int, int]], price: TimePrice, cold_s: float, *, warms_up: bool
) -> None:
    over, spans, _ = played(together(requests, price.idle_s), price=price, cold_s=cold_s, warms_up=warms_up)
    paid = shares(over, spans, price)
    assert set(paid) == {each.record for each in spans}
    assert sum(amount for part in paid.values() for amount in part.values()) == session_cost(over, price)
    assert every(amount >= 0 for part in paid.values() for amount in part.values())


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


@given(histories, st.sampled_from([0.0, 7.25]))
def test_a_session_costs_what_cloud_run_bills_for_the_life_of_its_instance(
    requests: list[tuple[int, int]], cold_s: float
) -> None:
    over, _, _ = played(together(requests, PRICE.idle_s), price=PRICE, cold_s=cold_s, warms_up=True)
    last = max(cold_s, *(over.last_end - START,))
    steps = math.ceil(round(round(last + PRICE.idle_s, 6) * 10, 6))
    assert session_cost(over, PRICE) == steps * RATE // 10


def test_a_warm_up_that_no_request_uses_pays_its_start_and_idle_period() -> None:
    over = session(warm_up_record="w").with_ready_at(START + 10)
    assert shares(over, [span("w", 0, None, warms_up=True)], PRICE) == {
        "w": {BillLine.GPU: 0, BillLine.COLD: 10 * RATE, BillLine.TAIL: 60 * RATE}
    }


def test_requests_that_overlap_share_the_time_and_the_tail_behind_it() -> None:
    over = session(cold_s=0.0, ends=START + 20).with_ready_at(START)
    paid = shares(over, [span("a", 0, 20), span("b", 10, 20)], PRICE)
    assert paid["a"] == {BillLine.GPU: 15 * RATE, BillLine.COLD: 0, BillLine.TAIL: 30 * RATE}
    assert paid["b"] == {BillLine.GPU: 5 * RATE, BillLine.COLD: 0, BillLine.TAIL: 30 * RATE}


def test_who_comes_into_a_tail_takes_his_part_of_it_over() -> None:
    over = session(cold_s=0.0, ends=START + 50).with_ready_at(START)
    paid = shares(over, [span("a", 0, 10), span("b", 40, 50)], PRICE)
    assert paid["a"] == {BillLine.GPU: 10 * RATE, BillLine.COLD: 0, BillLine.TAIL: 30 * RATE + 10 * RATE}
    assert paid["b"] == {BillLine.GPU: 10 * RATE, BillLine.COLD: 0, BillLine.TAIL: 10 * RATE + 40 * RATE}


def test_a_minimum_is_paid_by_the_parts_of_the_rest() -> None:
    price = replace(PRICE, minimum_s=120.0, idle_s=0.0)
    over = session(cold_s=0.0, ends=START + 30).with_ready_at(START)
    paid = shares(over, [span("a", 0, 10), span("b", 10, 30)], price)
    assert {name: sum(part.values()) for name, part in paid.items()} == {"a": 40 * RATE, "b": 80 * RATE}


def test_a_start_that_is_not_billed_is_nobodys() -> None:
    over = session(ends=START + 20, warm_up_record="w").with_ready_at(START + 10)
    free = replace(PRICE, bills_cold=False)
    paid = shares(over, [span("w", 0, None, warms_up=True), span("a", 0, 20)], free)
    assert sum(part[BillLine.COLD] for part in paid.values()) == 0
    assert sum(amount for part in paid.values() for amount in part.values()) == 70 * RATE


@pytest.mark.parametrize(("recent", "expected"), [((), 60.0), ((0.0,), 30.0), ((-30.0,), 45.0), ((0.0, 0.0), 20.0)])
def test_a_tail_is_shared_with_those_whose_tail_it_is_too(recent: tuple[float, ...], expected: float) -> None:
    now = replace(session(cold_s=0.0).with_ready_at(START), recent_ends=tuple(START + 100 + end for end in recent))
    assert shared_idle_s(now, 60.0, START + 100) == pytest.approx(expected)


@given(histories)
def test_sessions_and_spans_are_read_as_they_were_written(requests: list[tuple[int, int]]) -> None:
    over, spans, _ = played(together(requests, PRICE.idle_s), price=PRICE, cold_s=3.0, warms_up=True)
    running = over.with_member("attempt_r_001", "t", again=False)
    assert GpuSession.from_document(through_json(running.to_document("open"))) == running
    held = provisional_charge(over, PRICE, began=START, ended=START + 1)
    for each in (*spans, replace(spans[0], provisional=held, run=3)):
        assert SessionSpan.from_document(through_json(each.to_document())) == each
    assert NANOS == 10**9

"""Does a session cost what its machine lived, and do its members pay exactly that, each for his own part?"""

import math
from copy import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.money.costing import BillLine
from domain.money.ledger_records import NANOS
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan, session_cost, shares
from domain.money.sessions.provisional_charges import provisional_charge
from domain.money.sessions.transitions import begun
from tests.checks import every
from tests.domain.logs import through_json
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
def test_the_members_pay_exactly_what_the_session_cost(
    requests: list[tuple[int, int]], price: TimePrice, cold_s: float, *, warms_up: bool
) -> None:
    over, spans, _ = played(together(requests, price.idle_s), price=price, cold_s=cold_s, warms_up=warms_up)
    paid = shares(over, spans, price)
    assert set(paid) == {each.record for each in spans}
    assert sum(amount for part in paid.values() for amount in part.values()) == session_cost(over, price)
    assert every(amount >= 0 for part in paid.values() for amount in part.values())


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


@given(histories)
def test_sessions_and_spans_are_read_as_they_were_written(requests: list[tuple[int, int]]) -> None:
    over, spans, _ = played(together(requests, PRICE.idle_s), price=PRICE, cold_s=3.0, warms_up=True)
    running = over.with_member("attempt_r_001", "t", again=False)
    assert GpuSession.from_document(through_json(running.to_document("open"))) == running
    held = provisional_charge(over, PRICE, began=START, ended=START + 1)
    for each in (*spans, replace(spans[0], provisional=held, run=3)):
        assert SessionSpan.from_document(through_json(each.to_document())) == each
    assert NANOS == 10**9


def test_a_session_begins_when_its_machine_was_started_whoever_has_asked_it_before() -> None:
    """A request that came before it was started had no answer, and pays nothing of the time before."""
    waiting = replace(session(warm_up_record="w", ends=START + 2), members=3, running={"a": "t"})
    moved = begun(waiting, at=START + 1).session
    assert moved
    assert (moved.started, moved.last_end, moved.members) == (START + 1, START + 2, 3)
    assert begun(waiting.with_ready_at(START + 1), at=START + 2).session is None
    assert begun(waiting, at=START).session is None
    over = moved.without_member("a").with_ready_at(START + 11)
    early = span("a", 0, 0)
    paid = shares(over, [span("w", 0, None, warms_up=True), early], PRICE)
    assert sum(paid["w"].values()) + sum(paid["a"].values()) == session_cost(over, PRICE)

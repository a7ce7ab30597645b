"""What does a GPU session do at its edges: when it is over, when it became ready, and which ends it remembers?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.money.costing import BillLine
from domain.money.sessions.gpu_sessions import MAX_RECENT_ENDS, GpuSession, SessionSpan, shares
from domain.money.sessions.transitions import EntryTerms, entered, joint_charge, joint_worst_case, left, worst_case
from tests.domain.fleets import GPU as PRICE

NEW = GpuSession(id="s", backend="gpu", price="gpu", started=0.0, cold_s=10.0, last_end=0.0)
READY = replace(NEW, ready_at=10.0, last_end=30.0)
SPAN = SessionSpan(record="a", tenant="t", subject="user:1", response="resp_a", began=0.0)


def test_a_session_is_over_at_its_expiry_and_never_while_somebody_runs() -> None:
    assert not READY.is_over(600.0, 629.9)
    assert READY.is_over(600.0, 630.0)
    assert not replace(READY, running={"a": "t"}).is_over(600.0, 10_000.0)


def test_a_start_that_is_not_over_counts_to_the_expiry() -> None:
    assert NEW.expiry(600.0) == 610.0
    assert replace(NEW, last_end=20.0).expiry(600.0) == 620.0


@pytest.mark.parametrize(("seen", "at", "expected"), [(None, 12.0, 12.0), (12.0, 9.0, 9.0), (9.0, 12.0, 9.0)])
def test_the_earliest_accepted_request_tells_when_the_machine_was_ready(
    seen: float | None, at: float, expected: float
) -> None:
    assert replace(NEW, ready_at=seen).with_ready_at(at).ready_at == expected


def test_an_instant_request_is_a_later_end_and_never_an_earlier_one() -> None:
    assert READY.with_instant_request(40.0).last_end == 40.0
    assert READY.with_instant_request(20.0).last_end == 30.0
    assert NEW.with_instant_request(8.0).ready_at == 8.0


def test_the_last_ends_are_kept_and_the_oldest_forgotten() -> None:
    one = NEW
    for number in range(60):
        one = one.with_ended_member("a", float(number))
    assert MAX_RECENT_ENDS == 50
    assert one.recent_ends == tuple(float(number) for number in range(10, 60))
    assert one.last_end == 59.0


def test_an_end_before_the_last_one_does_not_shorten_the_session() -> None:
    assert READY.with_ended_member("a", 20.0).last_end == 30.0


def test_a_member_that_comes_again_is_counted_once() -> None:
    twice = NEW.with_member("a", "t", again=False).with_member("a", "t", again=True)
    assert (twice.members, twice.running) == (1, {"a": "t"})
    assert twice.with_member("b", "u", again=False).members == 2


def test_a_warm_up_and_a_member_without_an_end_pay_only_where_nobody_runs() -> None:
    session = replace(READY, last_end=30.0)
    ran = replace(SPAN, record="ran", began=10.0, ended=30.0)
    for other in (replace(SPAN, record="warm", ended=5.0, is_warm_up=True), replace(SPAN, record="lost")):
        paid = shares(session, (other, ran), PRICE)
        assert paid[other.record][BillLine.GPU] == 0
        assert paid["ran"][BillLine.GPU] == PRICE.amount * 20 * 10**9


def test_the_first_member_pays_for_the_start_that_nobody_asked_for() -> None:
    """Two members run after the machine is ready; nobody's interval holds the ten seconds of its start."""
    session = replace(READY, last_end=40.0)
    first, second = (replace(SPAN, record=name, began=at, ended=at + 10.0) for name, at in (("b", 20.0), ("c", 30.0)))
    paid = shares(session, (second, first), PRICE)
    assert paid["b"][BillLine.COLD] == PRICE.amount * 10 * 10**9
    assert paid["c"][BillLine.COLD] == 0


def test_the_joint_worst_case_has_a_margin_for_parts_that_are_rounded_up() -> None:
    least = PRICE.amount * (Decimal(100) + 600)
    worst = joint_worst_case(PRICE, seconds=100.0)
    assert least < worst <= least + PRICE.amount


def test_the_joint_charge_is_the_worst_case_to_the_end() -> None:
    terms = EntryTerms(price=PRICE, start_s=5.0, limit_s=60.0)
    entry = entered(NEW, None, member=SPAN, terms=terms, now=0.0).result
    assert joint_charge(PRICE, entry, ended=50.0) == joint_worst_case(PRICE, seconds=50.0)


def test_the_worst_case_of_a_member_counts_the_slower_start() -> None:
    for start_s, expected in ((30.0, 30), (5.0, 10)):
        terms = EntryTerms(price=PRICE, start_s=start_s, limit_s=60.0)
        assert worst_case(NEW, terms, now=0.0) == PRICE.amount * (expected + 60 + 600 + Decimal("0.1"))


def leaves(session: GpuSession, *, opened_at: float | None) -> GpuSession:
    transition = left(session, SPAN, run=1, price=PRICE, ended=40.0, opened_at=opened_at)
    assert transition.session is not None
    return transition.session


def test_a_member_that_was_not_accepted_leaves_a_known_start_as_it_is() -> None:
    running = replace(READY, running={"a": "t"}, members=1)
    assert leaves(running, opened_at=None).ready_at == 10.0
    assert leaves(running, opened_at=8.0).ready_at == 8.0
    assert leaves(replace(running, ready_at=None), opened_at=None).ready_at == SPAN.began

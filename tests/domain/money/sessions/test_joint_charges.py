"""What may a turn be charged that warmed a GPU up itself and then runs on it?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.money.ledger_records import warm_up_id
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.transitions import (
    EntryTerms,
    FollowingAttempt,
    SessionEntry,
    SessionTransition,
    entered,
    joint_charge,
    joint_worst_case,
    joint_worst_of,
    worst_case,
)
from tests.domain.fleets import GPU as PRICE

NEW = GpuSession(id="s", backend="gpu", price="gpu", started=100.0, cold_s=10.0, last_end=100.0)
SPAN = SessionSpan(record="a", tenant="t", subject="user:1", response="resp_a", began=100.0)
TERMS = EntryTerms(price=PRICE, start_s=30.0, limit_s=60.0)
STEPS = Decimal("0.4")
"""The seconds of four steps of the price, by which parts are rounded up."""


@pytest.mark.parametrize(
    ("worst", "held", "uses_warm_up", "beside"),
    [("5", "2", True, "3"), ("5", "5", True, "0"), ("2", "5", True, "0"), ("5", "2", False, "5")],
)
def test_what_a_warm_up_holds_covers_a_part_of_its_attempt(
    worst: str, held: str, beside: str, *, uses_warm_up: bool
) -> None:
    following = FollowingAttempt(worst_cost=Decimal(worst), uses_warm_up=uses_warm_up)
    assert following.beside(Decimal(held)) == Decimal(beside)


def test_an_attempt_is_expected_at_the_backend_that_is_warmed_up() -> None:
    assert FollowingAttempt() == FollowingAttempt(worst_cost=Decimal(0), uses_warm_up=True)
    assert SessionTransition(result=None) == SessionTransition(result=None, removes_span=False)
    assert SessionEntry(session="s", record="a", run=1, worst=Decimal(1)).started == 0.0


def test_only_the_turn_whose_warm_up_began_the_session_is_charged_jointly() -> None:
    own = replace(NEW, warm_up_record=warm_up_id("resp_a"))
    entry = entered(own, None, member=SPAN, terms=TERMS, now=105.0).result
    assert entry.joint == joint_worst_of(own, TERMS, now=105.0)
    assert entry.started == 100.0
    for other in (NEW, replace(NEW, warm_up_record=warm_up_id("resp_b"))):
        assert entered(other, None, member=SPAN, terms=TERMS, now=105.0).result.joint is None


def test_the_first_in_a_session_is_who_found_nothing_before() -> None:
    def is_first(session: GpuSession, span: SessionSpan | None = None) -> bool:
        return entered(session, span, member=SPAN, terms=TERMS, now=105.0).result.is_first

    assert is_first(NEW)
    assert is_first(replace(NEW, members=1), SPAN)
    assert not is_first(replace(NEW, members=1, warm_up_record=warm_up_id("resp_a")))
    assert not is_first(replace(NEW, members=2), SPAN)


@pytest.mark.parametrize(("now", "seconds"), [(105.0, 30 + 60), (130.0, 30 + 60), (150.0, 50 + 60)])
def test_the_joint_worst_case_lasts_from_the_start_to_the_longest_run(now: float, seconds: int) -> None:
    assert joint_worst_of(NEW, TERMS, now=now) == PRICE.amount * (seconds + 600 + STEPS)


@pytest.mark.parametrize(("start_s", "seconds"), [(5.0, 10), (30.0, 30)])
def test_the_slower_of_two_starts_counts(start_s: float, seconds: int) -> None:
    terms = replace(TERMS, start_s=start_s)
    assert joint_worst_of(NEW, terms, now=100.0) == PRICE.amount * (seconds + 60 + 600 + STEPS)


@pytest.mark.parametrize(("now", "seconds"), [(100.0, 30 + 60), (200.0, 60)])
def test_a_member_that_enters_late_pays_from_its_own_entry(now: float, seconds: int) -> None:
    amount = worst_case(replace(NEW, last_end=190.0), TERMS, now=now)
    assert amount == pytest.approx(PRICE.amount * (seconds + 600), abs=PRICE.amount * Decimal("0.3"))


@pytest.mark.parametrize(("minimum_s", "billed_s"), [(0.0, 700), (700.0, 700), (900.0, 900)])
def test_a_session_is_billed_for_its_minimum_at_least(minimum_s: float, billed_s: int) -> None:
    price = replace(PRICE, minimum_s=minimum_s)
    assert joint_worst_case(price, seconds=100.0) == PRICE.amount * (billed_s + STEPS)


def test_the_steps_of_the_price_are_those_that_round_up() -> None:
    coarse = replace(PRICE, granularity_ms=1000)
    assert joint_worst_case(coarse, seconds=100.0) == PRICE.amount * (700 + 4)


def test_the_joint_charge_counts_from_the_start_of_the_session() -> None:
    entry = SessionEntry(session="s", record="a", run=1, worst=Decimal(1), started=100.0)
    assert joint_charge(PRICE, entry, ended=150.0) == PRICE.amount * (50 + 600 + STEPS)

"""Does each transition of a GPU session write what it should, and nothing where it is repeated or comes too late?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.money.costing import BillLine
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.transitions import (
    EntryTerms,
    SessionTransition,
    entered,
    given_up,
    left,
    warm_up_removed,
    warmed_up,
)
from tests.domain.fleets import GPU as PRICE

NEW = GpuSession(id="session_1", backend="gpu", price="gpu", started=0.0, last_end=0.0, cold_s=10.0)
RUNNING = replace(NEW, running={"a": "tenant"}, members=1)
IDLE = replace(NEW, last_end=30.0, recent_ends=(30.0,), members=1, ready_at=10.0)
SPAN = SessionSpan(record="a", tenant="tenant", subject="user:1", response="resp_a", began=0.0)
TERMS = EntryTerms(price=PRICE, start_s=30.0, limit_s=60.0)
AMOUNTS = {BillLine.GPU: 1, BillLine.COLD: 2, BillLine.TAIL: 3}


def test_a_first_run_becomes_a_member() -> None:
    transition = entered(NEW, None, member=SPAN, terms=TERMS, now=0.0)
    assert transition.session == RUNNING
    assert transition.span == SPAN
    assert (transition.result.session, transition.result.record, transition.result.run) == ("session_1", "a", 1)


def test_a_second_run_is_the_same_member_and_keeps_its_first_start() -> None:
    ended = replace(SPAN, ended=20.0, provisional=AMOUNTS)
    transition = entered(replace(IDLE, members=1), ended, member=replace(SPAN, began=40.0), terms=TERMS, now=40.0)
    assert transition.session is not None
    assert (transition.session.members, transition.session.running) == (1, {"a": "tenant"})
    assert transition.span == replace(ended, ended=None, run=2)
    assert transition.result.run == 2


def test_the_worst_case_is_a_slow_start_the_whole_run_and_the_idle_period() -> None:
    transition = entered(NEW, None, member=SPAN, terms=TERMS, now=0.0)
    assert transition.result.worst == PRICE.amount * (30 + 60 + 600 + Decimal("0.1"))


def test_a_run_that_leaves_is_charged_and_ends_its_span() -> None:
    transition = left(RUNNING, SPAN, run=1, price=PRICE, ended=40.0, opened_at=12.0)
    assert transition.session == replace(RUNNING, running={}, ready_at=12.0, last_end=40.0, recent_ends=(40.0,))
    assert transition.span == replace(SPAN, ended=40.0, provisional=transition.result)
    assert transition.result is not None
    assert transition.result[BillLine.GPU] == PRICE.amount * 28 * 10**9
    assert transition.result[BillLine.COLD] == PRICE.amount * 12 * 10**9


NOTHING = SessionTransition[None](result=None)


@pytest.mark.parametrize(
    ("session", "span", "run", "result"),
    [
        (RUNNING, None, 1, None),
        (RUNNING, SPAN, 2, None),
        (RUNNING, replace(SPAN, ended=20.0, provisional=AMOUNTS), 1, AMOUNTS),
        (None, replace(SPAN, ended=20.0, provisional=AMOUNTS), 1, AMOUNTS),
        (None, SPAN, 1, None),
    ],
    ids=["no span", "a later run", "a repeated leave", "a closed session", "a session that closed without it"],
)
def test_a_run_that_leaves_too_late_writes_nothing(
    session: GpuSession | None, span: SessionSpan | None, run: int, result: object
) -> None:
    transition = left(session, span, run=run, price=PRICE, ended=40.0, opened_at=None)
    assert transition == SessionTransition(result=result)


def test_the_only_member_that_gives_up_leaves_a_session_without_members() -> None:
    transition = given_up(RUNNING, SPAN, run=1)
    assert transition == SessionTransition(session=NEW, removes_span=True, result=None)


@pytest.mark.parametrize(
    ("session", "span", "run"),
    [(None, SPAN, 1), (RUNNING, None, 1), (RUNNING, SPAN, 2), (IDLE, SPAN, 1)],
    ids=["no session", "no span", "a later run", "a run that has left"],
)
def test_giving_up_too_late_writes_nothing(session: GpuSession | None, span: SessionSpan | None, run: int) -> None:
    assert given_up(session, span, run=run) == NOTHING


def test_a_warm_up_begins_a_session_and_is_charged_its_start_and_the_idle_period() -> None:
    transition = warmed_up(NEW, None, member=SPAN, price=PRICE, worst_s=30.0, now=0.0)
    assert transition.session == replace(NEW, warm_up_record="a", members=1)
    assert transition.result is not None
    assert transition.span == replace(SPAN, is_warm_up=True, provisional=transition.result.amounts)
    assert sum(transition.result.amounts.values()) == PRICE.amount * (30 + 600 + Decimal("0.1")) * 10**9


def test_a_warm_up_of_an_idle_session_is_a_request_that_ends_at_once() -> None:
    transition = warmed_up(IDLE, None, member=replace(SPAN, record="b"), price=PRICE, worst_s=30.0, now=100.0)
    assert transition.session == replace(IDLE, last_end=100.0, recent_ends=(30.0, 100.0), members=2)
    assert transition.span is not None
    assert (transition.span.ended, transition.span.is_warm_up) == (100.0, False)


def test_a_warm_up_is_not_needed_while_requests_run() -> None:
    transition = warmed_up(RUNNING, None, member=SPAN, price=PRICE, worst_s=30.0, now=0.0)
    assert transition == NOTHING


def test_a_repeated_warm_up_returns_its_first_charge_and_writes_nothing() -> None:
    transition = warmed_up(IDLE, replace(SPAN, provisional=AMOUNTS), member=SPAN, price=PRICE, worst_s=30.0, now=0.0)
    assert (transition.session, transition.span) == (None, None)
    assert transition.result is not None
    assert transition.result.amounts == AMOUNTS


def test_a_removed_warm_up_no_longer_begins_its_session() -> None:
    session = replace(NEW, warm_up_record="a", members=2, running={"b": "tenant"})
    transition = warm_up_removed(session, replace(SPAN, is_warm_up=True))
    assert transition.session == replace(session, warm_up_record="", members=1)
    assert transition.removes_span


@pytest.mark.parametrize(("session", "span"), [(None, SPAN), (RUNNING, None)], ids=["no session", "no span"])
def test_a_warm_up_is_removed_once(session: GpuSession | None, span: SessionSpan | None) -> None:
    assert warm_up_removed(session, span) == NOTHING

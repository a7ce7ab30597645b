"""What does an attempt cost after each change of its record, and which part of that is an estimate or unused?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.money.attempt_charge import AttemptCharge, AttemptStatus, SessionShare, limited
from domain.money.costing import BillLine

ONE, TWO = Decimal(1), Decimal(2)
OPEN = AttemptCharge(reserved=Decimal(10), counters=("day",))
CLOSED = OPEN.closed(TWO, line=BillLine.TOKENS)


def share(gpu: str, tail: str = "0", *, final: bool = False, unused: bool = False) -> SessionShare:
    lines: dict[str, Decimal] = {BillLine.GPU: Decimal(gpu), BillLine.TAIL: Decimal(tail)}
    return SessionShare(lines=lines, final=final, unused=unused)


PROVISIONAL = OPEN.closed(ONE, line=BillLine.GPU).with_shares({"s": share("3", "1")})


def test_an_attempt_owes_its_reservation_until_it_has_a_cost() -> None:
    assert (OPEN.owed, CLOSED.owed, CLOSED.lines) == (Decimal(10), TWO, {BillLine.TOKENS: TWO})


def test_an_attempt_that_runs_again_adds_the_worst_case_to_what_it_owes() -> None:
    assert OPEN.reopened(ONE).owed == Decimal(11)
    again = CLOSED.reopened(ONE)
    assert (again.owed, again.status, again.cost, again.lines) == (Decimal(3), AttemptStatus.OPEN, None, {})


def test_a_replaced_run_is_charged_once_and_not_beside_a_session() -> None:
    late = CLOSED.with_late_run(1, ONE, line=BillLine.TOKENS)
    assert (late.cost, late.lines, late.late) == (Decimal(3), {BillLine.TOKENS: Decimal(3)}, {"1": ONE})
    assert late.with_late_run(1, TWO, line=BillLine.TOKENS) == late
    assert late.with_late_run(2, ONE, line=BillLine.HELD).lines == {BillLine.TOKENS: Decimal(3), BillLine.HELD: ONE}
    for unchanged in (CLOSED.with_late_run(1, Decimal(0), line=BillLine.TOKENS), CLOSED.with_late_runs({}, line="x")):
        assert unchanged == CLOSED
    assert PROVISIONAL.with_late_run(1, ONE, line=BillLine.TOKENS) == PROVISIONAL
    assert OPEN.with_late_run(1, ONE, line=BillLine.TOKENS).owed == OPEN.owed


def test_the_cost_is_the_sum_of_the_shares_and_final_when_all_are() -> None:
    assert (PROVISIONAL.status, PROVISIONAL.cost) == (AttemptStatus.PROVISIONAL, Decimal(4))
    both = PROVISIONAL.with_shares({"t": share("1", final=True)})
    assert (both.status, both.lines) == (AttemptStatus.PROVISIONAL, {BillLine.GPU: Decimal(4), BillLine.TAIL: ONE})
    ended = both.with_shares({"s": share("2", final=True)})
    assert (ended.status, ended.cost) == (AttemptStatus.CLOSED, Decimal(3))


def test_a_share_of_an_open_attempt_is_kept_without_a_cost() -> None:
    kept = OPEN.with_shares({"s": share("3")})
    assert (kept.cost, kept.owed, kept.shares) == (None, Decimal(10), {"s": share("3")})


def test_a_final_share_does_not_change_and_knows_what_was_charged_before() -> None:
    posted = PROVISIONAL.with_posted("s", share("2", final=True))
    assert posted is not None
    assert (posted.shares["s"].before, posted.cost) == (Decimal(4), TWO)
    assert posted.with_posted("s", share("9", final=True)) is None
    assert posted.with_shares({"s": share("9")}).cost == TWO
    new = PROVISIONAL.with_posted("t", share("1", final=True))
    assert new is not None
    assert new.shares["t"].before is None


def test_an_attempt_whose_end_is_lost_costs_its_reservation_and_keeps_its_shares() -> None:
    lost = OPEN.lost(line=BillLine.HELD, run=1)
    assert (lost.status, lost.cost, lost.lines, lost.shares) == (AttemptStatus.CLOSED, 10, {BillLine.HELD: 10}, {})
    shared = OPEN.with_shares({"s": share("3", "1")}).lost(line=BillLine.HELD, run=2)
    assert {name: (each.final, each.amount) for name, each in shared.shares.items()} == {
        "s": (True, Decimal(4)),
        "lost/2": (True, Decimal(6)),
    }
    assert (shared.cost, sum(each.amount for each in shared.shares.values())) == (10, 10)


@pytest.mark.parametrize(
    ("charge", "can_be"),
    [
        (PROVISIONAL, True),
        (CLOSED, False),
        (PROVISIONAL.covered(2), False),
        (PROVISIONAL.with_shares({"t": share("1")}), False),
        (PROVISIONAL.with_shares({"s": share("1", final=True)}), False),
        (replace(PROVISIONAL, counters=("month",)), False),
    ],
)
def test_only_one_provisional_share_under_the_same_budgets_can_be_covered(
    charge: AttemptCharge, *, can_be: bool
) -> None:
    assert charge.can_be_covered_by(OPEN, "s") is can_be


def test_a_covered_attempt_costs_nothing_and_then_what_it_did_at_most() -> None:
    covered = PROVISIONAL.covered(2)
    assert (covered.cost, covered.lines, covered.status) == (0, {}, AttemptStatus.PROVISIONAL)
    assert covered.uncovered("s", None) == PROVISIONAL
    limited_to = covered.uncovered("s", Decimal("3.5"))
    assert limited_to.lines == {BillLine.GPU: Decimal(3), BillLine.TAIL: Decimal("0.5")}
    posted = covered.with_posted("s", share("2", final=True))
    assert posted is not None
    assert (posted.cost, posted.uncovered("s", ONE).cost) == (0, TWO)


def test_the_last_lines_give_way_to_a_limit() -> None:
    lines = {"a": ONE, "b": TWO, "c": ONE}
    assert limited(lines, Decimal("1.5")) == {"a": ONE, "b": Decimal("0.5"), "c": 0}
    assert limited(lines, Decimal(9)) == lines


def test_unused_and_estimated_parts_are_those_of_their_shares() -> None:
    unused = CLOSED.with_shares({"s": share("3", "1", unused=True), "t": share("2")})
    assert unused.unused == {BillLine.GPU: Decimal(3), BillLine.TAIL: ONE}
    estimated = CLOSED.with_shares({"s": replace(share("3", "1"), is_estimate=True), "t": share("2")})
    assert (estimated.estimated, estimated.cost) == (Decimal(4), Decimal(6))
    assert (estimated.covered(2).estimated, estimated.covered(2).unused) == (0, {})


def test_a_charge_is_read_as_it_was_written() -> None:
    posted = PROVISIONAL.covered(2).with_posted("s", share("2", final=True, unused=True))
    for charge in (OPEN, CLOSED.with_late_run(1, ONE, line=BillLine.TOKENS), posted):
        assert charge is not None
        assert AttemptCharge.from_document(charge.to_document()) == charge

"""Does a bill add up to what the ledger holds of a turn, line by line?"""

from copy import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.bill import bill_of
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptRecord, Reservation, ReservationStatus, turn_cost
from domain.money.overheads import OverheadCost
from tests.domain import logs


def lined(attempt: AttemptRecord) -> AttemptRecord:
    """Return the attempt with lines that add up to its cost."""
    cost = attempt.charge.cost
    return attempt if cost is None else replace(attempt, charge=replace(attempt.charge, lines={BillLine.GPU: cost}))


@given(st.lists(logs.attempts, max_size=5), st.none() | logs.reservations)
def test_a_bill_is_what_the_attempts_cost_and_what_the_store_and_the_functions_did(
    attempts: list[AttemptRecord], held: Reservation | None
) -> None:
    overhead = held.overhead if held else OverheadCost()
    bill = bill_of([lined(each) for each in attempts], held)
    assert bill.total == turn_cost(tuple(attempts)) + overhead.store + overhead.functions
    assert set(bill.lines) == set(BillLine)


def test_a_bill_is_final_when_the_turn_is_settled_and_no_attempt_changes_any_more() -> None:
    settled = Reservation(response="r", subject="s", amount=Decimal(1), at=0.0, status=ReservationStatus.SETTLED)
    closed = AttemptRecord(
        response="r",
        subject="s",
        number=1,
        backend="b",
        price="p",
        started_at=0.0,
        charge=AttemptCharge(reserved=Decimal(1), status=AttemptStatus.CLOSED),
    )
    assert bill_of([closed], settled).final
    assert not bill_of([closed], replace(settled, status=ReservationStatus.OPEN)).final
    assert not bill_of(
        [closed, replace(closed, charge=replace(closed.charge, status=AttemptStatus.OPEN))], settled
    ).final
    assert not bill_of([], None).final

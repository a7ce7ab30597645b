"""Is money counted exactly, and does it survive being stored?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.ledger_records import (
    NANOS,
    AttemptRecord,
    Reservation,
    ReservationStatus,
    attempt_prefix,
    nanos,
    turn_cost,
)
from tests.checks import every
from tests.domain import logs
from tests.domain.logs import through_json, total


@given(logs.reservations)
def test_a_reservation_is_read_as_it_was_written(reservation: Reservation) -> None:
    assert Reservation.from_document(through_json(reservation.to_document())) == reservation


@given(logs.attempts)
def test_an_attempt_is_read_as_it_was_written(attempt: AttemptRecord) -> None:
    assert AttemptRecord.from_document(through_json(attempt.to_document())) == attempt


@given(logs.reservations, logs.amounts, logs.moments)
def test_a_reservation_closes_at_its_cost_or_at_nothing(reservation: Reservation, cost: Decimal, at: float) -> None:
    settled, released = reservation.settled(cost=cost, at=at), reservation.released(at=at)
    assert (settled.status, settled.cost, settled.closed_at) == (ReservationStatus.SETTLED, cost, at)
    assert (released.status, released.cost, released.closed_at) == (ReservationStatus.RELEASED, Decimal(0), at)
    assert {settled.id, released.id} == {reservation.id}
    assert {settled.amount, released.amount} == {reservation.amount}


@given(logs.amounts)
def test_an_amount_in_nanos_is_off_by_half_a_nano_at_most(amount: Decimal) -> None:
    assert abs(Decimal(nanos(amount)) / NANOS - amount) <= Decimal("0.5") / NANOS


@given(st.integers(0, 9_000_000 * 10**9))
def test_whole_nanos_are_exact_even_in_a_double(count: int) -> None:
    assert nanos(Decimal(count) / NANOS) == count == int(float(count))


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("0", 0), ("1", 10**9), ("0.0000000005", 0), ("0.0000000015", 2), ("0.0000000025", 2), ("-0.0000000015", -2)],
)
def test_half_a_nano_goes_to_the_even_one(amount: str, expected: int) -> None:
    assert nanos(Decimal(amount)) == expected


@given(logs.amounts)
def test_a_stored_amount_keeps_every_digit(amount: Decimal) -> None:
    held = Reservation(response="r", subject="s", amount=amount, at=0)
    assert str(Reservation.from_document(through_json(held.to_document())).amount) == str(amount)


@given(st.lists(logs.attempts, max_size=6))
def test_a_turn_costs_what_its_attempts_cost_and_an_open_one_its_reservation(attempts: list[AttemptRecord]) -> None:
    closed = [
        replace(attempt, charge=replace(attempt.charge, cost=attempt.charge.reserved))
        if attempt.charge.cost is None
        else attempt
        for attempt in attempts
    ]
    assert (
        turn_cost(tuple(attempts))
        == turn_cost(tuple(closed))
        == total([one.charge.cost or Decimal(0) for one in closed])
    )


@given(logs.attempts, st.lists(st.integers(1, 999), min_size=1, unique=True))
def test_ids_of_attempts_sort_by_number_under_their_responses_prefix(
    attempt: AttemptRecord, numbers: list[int]
) -> None:
    ids = [replace(attempt, number=number).id for number in sorted(numbers)]
    assert ids == sorted(ids)
    assert every(one.startswith(attempt_prefix(attempt.response)) for one in ids)

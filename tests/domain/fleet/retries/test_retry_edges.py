"""Which reason ends the waiting at the very edge of the deadline, and of what another backend is worth?"""

from typing import Any

import pytest

from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.retry_policy import (
    LAST_MOMENT_S,
    Failover,
    GiveUp,
    RetryLater,
    RetryPolicy,
    failover_reason,
    retry_decision,
    retry_delay,
)

POLICY = RetryPolicy(code="server_error", tries=4, first_s=1.0, factor=2.0, cap_s=30.0, max_wait_s=5.0)


def reason(policy: RetryPolicy = POLICY, **changes: Any) -> str | None:
    usual: dict[str, Any] = {"attempts": 1, "delay_s": 1.0, "left_s": 10.0, "has_alternative": False}
    return failover_reason(policy, **(usual | changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"left_s": 0.0, "delay_s": 0.0}, "no time is left before the deadline"),
        ({"left_s": 0.5, "delay_s": 0.0}, None),
        ({"left_s": 0.5}, "waiting 1.0 s would pass the deadline, 0.5 s are left"),
        ({"left_s": 1.0}, None),
        ({"attempts": 3}, None),
        ({"attempts": 4}, "4 attempts failed in this way"),
        ({"delay_s": 5.0, "has_alternative": True}, None),
        ({"delay_s": 5.1, "has_alternative": True}, "another backend can answer before 5.1 s"),
        ({"delay_s": 5.1}, None),
    ],
)
def test_a_reason_begins_to_hold_at_its_edge(changes: dict[str, Any], expected: str | None) -> None:
    assert reason(**changes) == expected


def test_by_default_neither_a_number_of_failures_nor_a_wait_moves_a_turn() -> None:
    patient = RetryPolicy(code="server_error", tries=10)
    assert reason(patient, attempts=9, delay_s=9.9, has_alternative=True) is None
    assert (patient.first_s, patient.factor, patient.cap_s, patient.fails_over) == (0.0, 1.0, 0.0, True)


@pytest.mark.parametrize(("deadline_s", "moves"), [(LAST_MOMENT_S, False), (LAST_MOMENT_S + 0.5, True)])
def test_without_a_moment_left_no_other_backend_is_asked(deadline_s: float, *, moves: bool) -> None:
    found = retry_decision(
        Diagnosis(failure_class=FailureClass.BROKEN, delay_s=None, reason="seen"),
        attempts=1,
        elapsed_s=0.0,
        deadline_s=deadline_s,
        has_alternative=True,
        random=0.0,
    )
    assert isinstance(found, Failover if moves else GiveUp)


def test_a_wait_is_drawn_from_its_last_half() -> None:
    seen = Diagnosis(failure_class=FailureClass.BROKEN, delay_s=None, reason="seen")
    waits = [retry_delay(POLICY, seen, attempts=3, random=random) for random in (0.0, 0.5, 1.0)]
    assert waits == pytest.approx([2.0, 3.0, 4.0])
    assert retry_delay(POLICY, seen, attempts=10, random=1.0) == pytest.approx(16.0)


def test_a_wait_that_the_backend_asked_for_is_only_lengthened() -> None:
    asked = Diagnosis(failure_class=FailureClass.THROTTLED, delay_s=7.0, reason="seen")
    assert retry_delay(POLICY, asked, attempts=1, random=0.0) == 7.0
    assert retry_delay(POLICY, asked, attempts=1, random=1.0) == 7.5


def test_a_cold_backend_is_waited_for_until_the_last_moment() -> None:
    cold = Diagnosis(failure_class=FailureClass.COLD, delay_s=60.0, reason="starting")
    found = retry_decision(cold, attempts=1, elapsed_s=5.0, deadline_s=16.0, has_alternative=False, random=0.0)
    assert isinstance(found, RetryLater)
    assert found.delay_s == 16.0 - 5.0 - LAST_MOMENT_S

"""For how long is each failure retried? The whole schedule of every failure class, without a random part."""

from itertools import count

import pytest

from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.retry_policy import WARM_UP_POLICIES, RetryLater, RetryPolicy, retry_decision, retry_delay


def schedule(failure: FailureClass) -> tuple[list[float], object]:
    """The delays until the turn ends with a code, where no other backend can serve it."""
    delays: list[float] = []
    for attempts in count(1):
        decided = retry_decision(
            Diagnosis(failure_class=failure, delay_s=None, reason="seen"),
            attempts=attempts,
            elapsed_s=0.0,
            deadline_s=100_000.0,
            has_alternative=False,
            random=1.0,
        )
        if not isinstance(decided, RetryLater):
            return delays, getattr(decided, "code", None)
        delays.append(round(decided.delay_s, 3))
    raise AssertionError("the schedule never ends")


@pytest.mark.parametrize(
    ("failure", "delays", "code"),
    [
        (FailureClass.COLD, [1.0, 1.5, 2.25, 3.375, 5.062, 7.594, 11.391, *[15.0] * 52], "server_error"),
        (FailureClass.THROTTLED, [1.0, 2.0, 4.0, 8.0, 16.0, *[30.0] * 4], "rate_limit_exceeded"),
        (FailureClass.BROKEN, [0.5, 1.0, 2.0], "server_error"),
        (FailureClass.INDETERMINATE, [0.2, 0.6, 1.8, 5.0, 5.0], "server_error"),
        (FailureClass.UNFIT, [], "invalid_prompt"),
        (FailureClass.CLIENT, [], "invalid_prompt"),
    ],
)
def test_each_failure_has_its_schedule(failure: FailureClass, delays: list[float], code: str) -> None:
    assert schedule(failure) == (delays, code)


@pytest.mark.parametrize(
    ("failure", "tries", "delays"),
    [
        (FailureClass.BROKEN, 3, [1.0, 2.0, 4.0, 8.0, 8.0]),
        (FailureClass.INDETERMINATE, 6, [2.0, 4.0, 8.0, 15.0, 15.0]),
    ],
)
def test_a_failed_warm_up_has_its_schedule(failure: FailureClass, tries: int, delays: list[float]) -> None:
    policy, seen = WARM_UP_POLICIES[failure], Diagnosis(failure_class=failure, delay_s=None, reason="seen")
    assert policy.tries == tries
    assert [retry_delay(policy, seen, attempts=n, random=1.0) for n in range(1, 6)] == delays


@pytest.mark.parametrize(
    ("asked_s", "has_alternative", "waits"), [(5.0, True, False), (4.0, True, True), (6.0, False, True)]
)
def test_a_throttled_turn_waits_for_five_seconds_if_another_backend_can_answer(
    asked_s: float, *, has_alternative: bool, waits: object
) -> None:
    """The random part adds up to half a second."""
    decided = retry_decision(
        Diagnosis(failure_class=FailureClass.THROTTLED, delay_s=asked_s, reason="seen"),
        attempts=1,
        elapsed_s=0.0,
        deadline_s=1000.0,
        has_alternative=has_alternative,
        random=1.0,
    )
    assert isinstance(decided, RetryLater) is waits


@pytest.mark.parametrize(("failure", "moves_at"), [(FailureClass.BROKEN, 1), (FailureClass.INDETERMINATE, 3)])
def test_a_failing_backend_is_left_after_so_many_failures(failure: FailureClass, moves_at: int) -> None:
    stays = [
        isinstance(
            retry_decision(
                Diagnosis(failure_class=failure, delay_s=None, reason="seen"),
                attempts=attempts,
                elapsed_s=0.0,
                deadline_s=1000.0,
                has_alternative=True,
                random=0.0,
            ),
            RetryLater,
        )
        for attempts in range(1, 5)
    ]
    assert stays == [attempts < moves_at for attempts in range(1, 5)]


def test_a_policy_without_delays_waits_for_nothing() -> None:
    policy = RetryPolicy(code="c", tries=1)
    assert (policy.first_s, policy.factor, policy.cap_s, policy.fails_over) == (0.0, 1.0, 0.0, True)

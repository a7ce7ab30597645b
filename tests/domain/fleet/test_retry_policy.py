"""Does a turn wait as long as it makes sense, and no longer?"""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.retry_policy import (
    LAST_MOMENT_S,
    POLICIES,
    WARM_UP_POLICIES,
    Failover,
    GiveUp,
    RetryDecision,
    RetryLater,
    retry_decision,
)

MOST_ATTEMPTS = sum(policy.tries for policy in POLICIES.values())
"""No turn makes more attempts than this at one backend."""


def step(failure_class: FailureClass, delay_s: float | None = None, **changes: Any) -> RetryDecision:
    told: dict[str, Any] = {
        "attempts": 1,
        "elapsed_s": 0.0,
        "deadline_s": 100.0,
        "has_alternative": False,
        "random": 1.0,
    }
    return retry_decision(Diagnosis(failure_class=failure_class, delay_s=delay_s, reason="seen"), **(told | changes))


@pytest.mark.parametrize(
    ("failure_class", "delay_s", "changes", "expected"),
    [
        (FailureClass.COLD, None, {}, 1.0),
        (FailureClass.COLD, None, {"attempts": 3}, 2.25),
        (FailureClass.COLD, None, {"attempts": 30}, 15.0),
        (FailureClass.COLD, None, {"attempts": 30, "random": 0.0}, 7.5),
        (FailureClass.COLD, None, {"attempts": 30, "elapsed_s": 95.0}, 4.0),
        (FailureClass.COLD, None, {"has_alternative": True}, 1.0),
        (FailureClass.COLD, 20.0, {"random": 0.0}, 20.0),
        (FailureClass.THROTTLED, None, {}, 1.0),
        (FailureClass.THROTTLED, 12.0, {"random": 0.0}, 12.0),
        (FailureClass.THROTTLED, 3.0, {"has_alternative": True, "random": 0.0}, 3.0),
        (FailureClass.BROKEN, None, {}, 0.5),
        (FailureClass.BROKEN, None, {"attempts": 3}, 2.0),
        (FailureClass.INDETERMINATE, None, {}, 0.2),
        (FailureClass.INDETERMINATE, None, {"has_alternative": True, "attempts": 2}, 0.6),
    ],
)
def test_it_waits(failure_class: FailureClass, delay_s: float | None, changes: dict[str, Any], expected: float) -> None:
    found = step(failure_class, delay_s, **changes)
    assert isinstance(found, RetryLater)
    assert found.delay_s == pytest.approx(expected)


@pytest.mark.parametrize(
    ("failure_class", "delay_s", "changes"),
    [
        (FailureClass.BROKEN, None, {}),
        (FailureClass.UNFIT, None, {}),
        (FailureClass.INDETERMINATE, None, {"attempts": 3}),
        (FailureClass.THROTTLED, 12.0, {}),
        (FailureClass.THROTTLED, 120.0, {}),
        (FailureClass.COLD, None, {"attempts": 60}),
    ],
)
def test_it_goes_elsewhere_when_it_can(
    failure_class: FailureClass, delay_s: float | None, changes: dict[str, Any]
) -> None:
    assert isinstance(step(failure_class, delay_s, has_alternative=True, **changes), Failover)


@pytest.mark.parametrize(
    ("failure_class", "delay_s", "changes", "code"),
    [
        (FailureClass.CLIENT, None, {}, "invalid_prompt"),
        (FailureClass.CLIENT, None, {"has_alternative": True}, "invalid_prompt"),
        (FailureClass.UNFIT, None, {}, "invalid_prompt"),
        (FailureClass.BROKEN, None, {"attempts": 4}, "server_error"),
        (FailureClass.INDETERMINATE, None, {"attempts": 6}, "server_error"),
        (FailureClass.THROTTLED, 120.0, {}, "rate_limit_exceeded"),
        (FailureClass.THROTTLED, None, {"attempts": 10}, "rate_limit_exceeded"),
        (FailureClass.COLD, None, {"elapsed_s": 99.5}, "server_error"),
        (FailureClass.BROKEN, None, {"elapsed_s": 120.0, "has_alternative": True}, "server_error"),
    ],
)
def test_it_gives_up(failure_class: FailureClass, delay_s: float | None, changes: dict[str, Any], code: str) -> None:
    found = step(failure_class, delay_s, **changes)
    assert isinstance(found, GiveUp)
    assert found.code == code
    assert found.reason.startswith("seen; ")


diagnoses = st.builds(
    Diagnosis,
    failure_class=st.sampled_from(FailureClass),
    delay_s=st.none() | st.floats(min_value=0, max_value=10_000),
    reason=st.just("seen"),
)


@given(
    diagnosis=diagnoses,
    attempts=st.integers(min_value=1, max_value=1000),
    elapsed_s=st.floats(min_value=0, max_value=10_000),
    deadline_s=st.floats(min_value=0, max_value=10_000),
    has_alternative=st.booleans(),
    random=st.floats(min_value=0, max_value=1),
)
def test_no_wait_ends_beyond_the_deadline_nor_is_shorter_than_asked_for(
    diagnosis: Diagnosis,
    attempts: int,
    elapsed_s: float,
    deadline_s: float,
    *,
    has_alternative: bool,
    random: float,
) -> None:
    found = retry_decision(
        diagnosis,
        attempts=attempts,
        elapsed_s=elapsed_s,
        deadline_s=deadline_s,
        has_alternative=has_alternative,
        random=random,
    )
    if isinstance(found, RetryLater):
        assert found.delay_s >= 0
        assert elapsed_s + found.delay_s + LAST_MOMENT_S <= deadline_s + 1e-6
        if diagnosis.failure_class is FailureClass.THROTTLED and diagnosis.delay_s is not None:
            assert found.delay_s >= diagnosis.delay_s
    if isinstance(found, Failover):
        assert has_alternative


@given(
    diagnoses=st.lists(diagnoses, min_size=MOST_ATTEMPTS + 1, max_size=MOST_ATTEMPTS + 1),
    random=st.floats(min_value=0, max_value=1),
    deadline_s=st.floats(min_value=0, max_value=1e9),
)
def test_retries_at_one_backend_always_end(diagnoses: list[Diagnosis], random: float, deadline_s: float) -> None:
    seen: list[FailureClass] = []
    elapsed_s = 0.0
    for diagnosis in diagnoses:
        seen.append(diagnosis.failure_class)
        found = retry_decision(
            diagnosis,
            attempts=seen.count(diagnosis.failure_class),
            elapsed_s=elapsed_s,
            deadline_s=deadline_s,
            has_alternative=False,
            random=random,
        )
        if isinstance(found, GiveUp):
            return
        assert isinstance(found, RetryLater)
        elapsed_s += found.delay_s
    raise AssertionError("it never gave up")


@pytest.mark.parametrize("failure_class", [FailureClass.UNFIT, FailureClass.CLIENT])
def test_a_request_that_was_rejected_is_not_sent_again(failure_class: FailureClass) -> None:
    assert isinstance(step(failure_class), GiveUp)
    follows = step(failure_class, has_alternative=True)
    assert isinstance(follows, Failover if failure_class is FailureClass.UNFIT else GiveUp)
    assert POLICIES[failure_class].tries == 1


def test_the_policies_name_how_often_and_how_long_each_class_is_tried() -> None:
    table = {
        name: (policy.tries, policy.first_s, policy.factor, policy.cap_s, policy.failover_after, policy.max_wait_s)
        for name, policy in POLICIES.items()
    }
    never = math.inf
    assert table == {
        FailureClass.COLD: (60, 1.0, 1.5, 15.0, never, never),
        FailureClass.THROTTLED: (10, 1.0, 2.0, 30.0, never, 5.0),
        FailureClass.BROKEN: (4, 0.5, 2.0, 5.0, 1, never),
        FailureClass.INDETERMINATE: (6, 0.2, 3.0, 5.0, 3, never),
        FailureClass.UNFIT: (1, *table[FailureClass.UNFIT][1:4], 1, never),
        FailureClass.CLIENT: (1, *table[FailureClass.CLIENT][1:4], never, never),
    }
    assert [(one.tries, one.first_s, one.factor, one.cap_s) for one in WARM_UP_POLICIES.values()] == [
        (3, 1.0, 2.0, 15.0),
        (6, 2.0, 2.0, 15.0),
    ]

"""Does a turn wait as long as it makes sense, and no longer?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.failure_classes import Diagnosis, Posture
from domain.fleet.retry_policy import LAST_MOMENT_S, MOST_ATTEMPTS, Elsewhere, GiveUp, Step, Wait, next_step


def step(posture: Posture, delay_s: float | None = None, **changes: Any) -> Step:
    told: dict[str, Any] = {
        "attempts": 1,
        "elapsed_s": 0.0,
        "deadline_s": 100.0,
        "has_alternative": False,
        "random": 1.0,
    }
    return next_step(Diagnosis(posture=posture, delay_s=delay_s, reason="seen"), **(told | changes))


@pytest.mark.parametrize(
    ("posture", "delay_s", "changes", "expected"),
    [
        (Posture.COLD, None, {}, 1.0),
        (Posture.COLD, None, {"attempts": 3}, 2.25),
        (Posture.COLD, None, {"attempts": 30}, 15.0),
        (Posture.COLD, None, {"attempts": 30, "random": 0.0}, 7.5),
        (Posture.COLD, None, {"attempts": 30, "elapsed_s": 95.0}, 4.0),
        (Posture.COLD, None, {"has_alternative": True}, 1.0),
        (Posture.COLD, 20.0, {"random": 0.0}, 20.0),
        (Posture.THROTTLED, None, {}, 1.0),
        (Posture.THROTTLED, 12.0, {"random": 0.0}, 12.0),
        (Posture.THROTTLED, 3.0, {"has_alternative": True, "random": 0.0}, 3.0),
        (Posture.BROKEN, None, {}, 0.5),
        (Posture.BROKEN, None, {"attempts": 3}, 2.0),
        (Posture.INDETERMINATE, None, {}, 0.2),
        (Posture.INDETERMINATE, None, {"has_alternative": True, "attempts": 2}, 0.6),
    ],
)
def test_it_waits(posture: Posture, delay_s: float | None, changes: dict[str, Any], expected: float) -> None:
    found = step(posture, delay_s, **changes)
    assert isinstance(found, Wait)
    assert found.delay_s == pytest.approx(expected)


@pytest.mark.parametrize(
    ("posture", "delay_s", "changes"),
    [
        (Posture.BROKEN, None, {}),
        (Posture.UNFIT, None, {}),
        (Posture.INDETERMINATE, None, {"attempts": 3}),
        (Posture.THROTTLED, 12.0, {}),
        (Posture.THROTTLED, 120.0, {}),
        (Posture.COLD, None, {"attempts": 60}),
    ],
)
def test_it_goes_elsewhere_when_it_can(posture: Posture, delay_s: float | None, changes: dict[str, Any]) -> None:
    assert isinstance(step(posture, delay_s, has_alternative=True, **changes), Elsewhere)


@pytest.mark.parametrize(
    ("posture", "delay_s", "changes", "code"),
    [
        (Posture.CLIENT, None, {}, "invalid_prompt"),
        (Posture.CLIENT, None, {"has_alternative": True}, "invalid_prompt"),
        (Posture.UNFIT, None, {}, "invalid_prompt"),
        (Posture.BROKEN, None, {"attempts": 4}, "server_error"),
        (Posture.INDETERMINATE, None, {"attempts": 6}, "server_error"),
        (Posture.THROTTLED, 120.0, {}, "rate_limit_exceeded"),
        (Posture.THROTTLED, None, {"attempts": 10}, "rate_limit_exceeded"),
        (Posture.COLD, None, {"elapsed_s": 99.5}, "server_error"),
        (Posture.BROKEN, None, {"elapsed_s": 120.0, "has_alternative": True}, "server_error"),
    ],
)
def test_it_gives_up(posture: Posture, delay_s: float | None, changes: dict[str, Any], code: str) -> None:
    found = step(posture, delay_s, **changes)
    assert isinstance(found, GiveUp)
    assert found.code == code
    assert found.reason.startswith("seen; ")


diagnoses = st.builds(
    Diagnosis,
    posture=st.sampled_from(Posture),
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
    found = next_step(
        diagnosis,
        attempts=attempts,
        elapsed_s=elapsed_s,
        deadline_s=deadline_s,
        has_alternative=has_alternative,
        random=random,
    )
    if isinstance(found, Wait):
        assert found.delay_s >= 0
        assert elapsed_s + found.delay_s + LAST_MOMENT_S <= deadline_s + 1e-6
        if diagnosis.posture is Posture.THROTTLED and diagnosis.delay_s is not None:
            assert found.delay_s >= diagnosis.delay_s
    if isinstance(found, Elsewhere):
        assert has_alternative


@given(
    diagnoses=st.lists(diagnoses, min_size=MOST_ATTEMPTS + 1, max_size=MOST_ATTEMPTS + 1),
    random=st.floats(min_value=0, max_value=1),
    deadline_s=st.floats(min_value=0, max_value=1e9),
)
def test_patience_with_one_backend_always_ends(diagnoses: list[Diagnosis], random: float, deadline_s: float) -> None:
    seen: list[Posture] = []
    elapsed_s = 0.0
    for diagnosis in diagnoses:
        seen.append(diagnosis.posture)
        found = next_step(
            diagnosis,
            attempts=seen.count(diagnosis.posture),
            elapsed_s=elapsed_s,
            deadline_s=deadline_s,
            has_alternative=False,
            random=random,
        )
        if isinstance(found, GiveUp):
            return
        assert isinstance(found, Wait)
        elapsed_s += found.delay_s
    raise AssertionError("it never gave up")

"""When does a schedule occur next?"""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.app.catalog import FunctionMetadata
from devhost.timers.ncrontab import InvalidScheduleError, schedule_from_text
from devhost.timers.runner import schedule_of

NEXT = [
    ("* * * * * *", "2026-11-22 10:00:00", "2026-11-22 10:00:01"),
    ("0 * * * * *", "2026-11-22 10:00:00", "2026-11-22 10:01:00"),
    ("* * * * *", "2026-11-22 10:00:30", "2026-11-22 10:01:00"),
    ("0 */5 * * * *", "2026-11-22 10:03:00", "2026-11-22 10:05:00"),
    ("30 5/20 * * * *", "2026-11-22 10:06:00", "2026-11-22 10:25:30"),
    ("0 0 9-17 * * MON-FRI", "2026-11-20 17:00:00", "2026-11-23 09:00:00"),
    ("0 0 0 1 1 *", "2026-11-22 10:00:00", "2027-01-01 00:00:00"),
    ("0 0 0 29 2 *", "2026-11-22 10:00:00", "2028-02-29 00:00:00"),
    ("0 30 9 * Jan,Jul sunday", "2026-11-22 10:00:00", "2027-01-03 09:30:00"),
    ("0,30 0 0 * * *", "2026-11-22 00:00:00", "2026-11-22 00:00:30"),
    ("0 59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00"),
    ("0 0 0 29 2 mon", "2072-03-01 00:00:00", "2112-02-29 00:00:00"),
    ("0 0 0 13 * FRI", "2026-11-22 10:00:00", "2027-08-13 00:00:00"),
]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("schedule", "at", "expected"), NEXT)
def test_the_next_moment_is_the_first_that_all_fields_allow(schedule: str, at: str, expected: str) -> None:
    found = schedule_from_text(schedule).next_after(seconds(at))
    assert datetime.fromtimestamp(found, UTC).isoformat(" ", "seconds").removesuffix("+00:00") == expected


@pytest.mark.parametrize(
    "text", ["", "* * *", "60 * * * * *", "* * * * 13 *", "5-1 * * * * *", "a * * * * *", "*/x * * * * *"]
)
def test_an_invalid_schedule_is_rejected(text: str) -> None:
    with pytest.raises(InvalidScheduleError):
        schedule_from_text(text)


def test_a_schedule_that_never_occurs_is_rejected() -> None:
    with pytest.raises(InvalidScheduleError):
        schedule_from_text("0 0 0 31 2 *").next_after(0.0)


@given(at=st.floats(min_value=0, max_value=4e9), step=st.integers(min_value=1, max_value=59))
def test_the_next_moment_is_always_later_and_on_the_schedule(at: float, step: int) -> None:
    schedule = schedule_from_text(f"*/{step} * * * * *")
    found = schedule.next_after(at)
    assert found > at
    assert datetime.fromtimestamp(found, UTC).second % step == 0
    assert found - at <= 60


def test_a_schedule_that_never_occurs_is_rejected_before_anything_runs() -> None:
    trigger = {"type": "timerTrigger", "schedule": "0 0 0 30 2 *"}
    with pytest.raises(InvalidScheduleError, match="never occurs"):
        schedule_of(FunctionMetadata(name="f", id="f", trigger=trigger, bindings=(trigger,)))

"""Is a schedule that can come round accepted, and is every other one explained?"""

import pytest

from domain.pipelines.schedules import schedule_problem


@pytest.mark.parametrize(
    "schedule",
    [
        "0 * * * * *",
        "0 */5 * * * *",
        "30 0 0-6 1,15 jan-mar mon",
        "0 0 6 * * 1-5",
        "0 0 9-17/2 * * *",
        "0 0 0 29 2 mon",
        "0 0 0 */30 2 *",
        "0 0 0 31 4/3 *",
        "0 0 0 31 4,jul *",
        "0 0 0 28/2 2 *",
    ],
)
def test_a_schedule_is_right(schedule: str) -> None:
    assert not schedule_problem(schedule)


@pytest.mark.parametrize(
    ("schedule", "word"),
    [
        ("", "six fields"),
        ("0 0 6 * *", "six fields"),
        ("* 0 6 * * *", "one second"),
        ("*/5 0 6 * * *", "one second"),
        ("0 60 6 * * *", "minute"),
        ("0 0 24 * * *", "hour"),
        ("0 0 0 0 * *", "day"),
        ("0 0 0 * 13 *", "month"),
        ("0 0 0 * * 7", "day of week"),
        ("0 0 5-1 * * *", "hour"),
        ("0 0 x * * *", "hour"),
        ("0 0 0 31 2 *", "one of its months"),
        ("0 0 0 30,31 feb mon", "one of its months"),
        ("0 0 0 31 4-6/2,sep *", "one of its months"),
        ("0 0 0 30/1 2/12 *", "one of its months"),
        pytest.param(f"0 0 {'9' * 5000} * * *", "hour", id="very long"),
    ],
)
def test_a_wrong_schedule_is_explained(schedule: str, word: str) -> None:
    assert word in schedule_problem(schedule)

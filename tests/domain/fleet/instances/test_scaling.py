"""Which limits hold at a time of the week, and when do they change?"""

from datetime import UTC, datetime

import pytest

from domain.fleet.instances.scaling import DAYS, WEEK_S, CountLimits, InstanceControl, ScheduleRow

HOUR = 3600
WORK = ScheduleRow(
    days=frozenset({DAYS["mon"], DAYS["fri"]}), begins_s=8 * HOUR, ends_s=18 * HOUR, limits=CountLimits(1, 2)
)
CLOSED = ScheduleRow(days=frozenset({DAYS["sun"]}), limits=CountLimits(0, 0))
CONTROL = InstanceControl(service="s", schedule=(WORK, CLOSED), maximum=3)


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> float:
    """Return a time of November 2026, whose second day is a Monday."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("time", "limits"),
    [
        (at(2, 7, 59, 59), CountLimits(0, 3)),
        (at(2, 8), CountLimits(1, 2)),
        (at(2, 17, 59, 59), CountLimits(1, 2)),
        (at(2, 18), CountLimits(0, 3)),
        (at(3, 12), CountLimits(0, 3)),
        (at(6, 12), CountLimits(1, 2)),
        (at(8, 0), CountLimits(0, 0)),
        (at(8, 23, 59, 59), CountLimits(0, 0)),
    ],
)
def test_the_limits_of_the_first_row_that_applies_hold(time: float, limits: CountLimits) -> None:
    assert CONTROL.limits(time) == limits


def test_the_first_of_two_rows_counts() -> None:
    both = InstanceControl(service="s", schedule=(ScheduleRow(days=frozenset(range(7))), WORK))
    assert both.limits(at(2, 12)) == CountLimits(0, 1)


@pytest.mark.parametrize(
    ("time", "change"),
    [
        (at(2, 7), at(2, 8)),
        (at(2, 8), at(2, 18)),
        (at(2, 18), at(6, 8)),
        (at(6, 18), at(8, 0)),
        (at(8, 5), at(9, 0)),
    ],
)
def test_limits_change_at_the_edges_of_rows(time: float, change: float) -> None:
    assert CONTROL.next_change(time) == change


def test_limits_that_never_change_are_looked_at_in_a_week() -> None:
    assert InstanceControl(service="s").next_change(at(2, 0)) == at(2, 0) + WEEK_S
    always = ScheduleRow(days=frozenset(range(7)), limits=CountLimits(1, 1))
    assert InstanceControl(service="s", schedule=(always,)).next_change(at(2, 5)) == at(2, 5) + WEEK_S


def test_a_closed_time_says_until_when() -> None:
    assert CONTROL.closed(at(2, 12)) is None
    assert CONTROL.closed(at(8, 12)) == "its schedule allows no instance until 2026-11-09 00:00 UTC"

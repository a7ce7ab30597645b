"""Is an app warned of a timer whose time has another offset than UTC, once for each of its lines?"""

import logging
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from devhost.worker import timers
from devhost.worker.timers import checked

MADE: list[tuple[Any, ...]] = []


def create(action: object, fire_at: Any, *more: Any, **named: Any) -> None:
    MADE.append((action, fire_at, *more, *named.values()))


HERE = timezone(timedelta(hours=2))
TIME = datetime(2026, 11, 22, 10, tzinfo=HERE)


def test_a_time_with_an_offset_is_named_with_its_line_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "LIBRARIES", (timers.__file__,))
    made = checked(create)
    with caplog.at_level(logging.WARNING, "devhost"):
        for _ in range(3):
            made("action", TIME)
        made("action", TIME)
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("test_timers.py:")
    assert "creates a timer for 2026-11-22T10:00:00+02:00" in first
    assert first != second


@pytest.mark.parametrize("time", [TIME.astimezone(UTC), TIME.replace(tzinfo=None), "2026-11-22"])
def test_other_times_are_not_named(time: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "devhost"):
        checked(create)("action", time)
    assert caplog.records == []


def test_the_action_is_made_with_all_its_arguments() -> None:
    MADE.clear()
    checked(create)("action", TIME, 1, more=2)
    assert MADE == [("action", TIME, 1, 2)]

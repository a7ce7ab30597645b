"""Does the benchmark of timed warm-ups count dollars and waiting as worked out by hand?"""

import pytest

from benches.routing.arrivals import HOUR_S, TrafficRequest
from benches.routing.extras.__main__ import BUSY_S, GPU_HOUR_USD, WEEK_S, hours_of_week, week

SECOND_USD = GPU_HOUR_USD / HOUR_S
BUSY_MONDAY = {0: 60, 1: 0}
DEAR = 1.0


def requests(*at: float) -> list[TrafficRequest]:
    return [TrafficRequest(WEEK_S + each, 100, 100) for each in at]


def test_a_gpu_that_is_down_starts_with_its_first_request() -> None:
    found = week(requests(100, 120), 60, 600, {}, DEAR)
    assert found.waited_s == 60 + 40
    assert found.dollars == pytest.approx((60 + 600 + BUSY_S) * SECOND_USD)
    assert (found.timed, found.unused) == (0, 0)


def test_a_timed_warm_up_saves_the_waiting_and_costs_the_time_until_the_first_request() -> None:
    assert list(hours_of_week(BUSY_MONDAY, 60, 600, DEAR)) == [WEEK_S - 60]
    found = week(requests(100, 120), 60, 600, BUSY_MONDAY, DEAR)
    assert found.waited_s == 0
    assert found.dollars == pytest.approx((60 + 120 + BUSY_S + 600) * SECOND_USD)
    assert (found.timed, found.unused) == (1, 0)


def test_a_warm_up_before_a_request_that_comes_too_late_is_paid_in_vain() -> None:
    found = week(requests(3000), 60, 600, BUSY_MONDAY, DEAR)
    assert (found.timed, found.unused, found.waited_s) == (1, 1, 60)
    assert found.dollars == pytest.approx((2 * (60 + 600) + BUSY_S) * SECOND_USD)


def test_where_waiting_is_worth_little_nothing_is_warmed_up_before_its_time() -> None:
    assert list(hours_of_week(BUSY_MONDAY, 60, 600, 0.0)) == []

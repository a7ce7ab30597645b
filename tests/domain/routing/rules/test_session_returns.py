"""Does a session count what its turns would have lost without it, and when had that reached the price?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.routing.rules.replay import PastDemand
from domain.routing.rules.session_returns import SessionTime, crossings, session_returns, spend_points

PART_S = 15.0
WINDOW_S = 60.0
DEMAND = [PastDemand(at, 1.0, 2.0) for at in (0.0, 15.0, 30.0, 300.0, 315.0, 330.0, 345.0)]
POINTS = spend_points(DEMAND, WINDOW_S)


def test_the_rental_spend_is_that_of_the_last_window() -> None:
    assert [each.spent for each in POINTS] == [1, 2, 3, 1, 2, 3, 4]


def test_the_spend_crosses_a_price_once_until_it_has_fallen_below_it() -> None:
    assert list(crossings(POINTS, 3.0, WINDOW_S)) == [30.0, 330.0]
    assert list(crossings(POINTS, 9.0, WINDOW_S)) == []
    assert list(crossings(POINTS, 1.0, WINDOW_S)) == [0.0, 300.0]


def test_a_session_earns_what_its_turns_would_have_cost_elsewhere_less_its_own_cost() -> None:
    sessions = [SessionTime(40.0, 100.0, 2.5), SessionTime(310.0, 400.0, 1.5), SessionTime(500.0, 560.0, 0.5)]
    found = session_returns(sessions, POINTS, list(crossings(POINTS, 3.0, WINDOW_S)), PART_S)
    assert [each.saved for each in found] == [1.0, 4.0, 0.0]
    assert [each.earned for each in found] == pytest.approx([-1.5, 2.5, -0.5])
    assert [each.parts for each in found] == [1, 4, 0]
    assert [each.crossed_at for each in found] == [30.0, None, 330.0]


def test_a_part_counts_for_one_of_two_sessions_that_follow_each_other() -> None:
    sessions = [SessionTime(0.0, 31.0, 1.0), SessionTime(32.0, 60.0, 1.0)]
    assert [each.saved for each in session_returns(sessions, POINTS, [], PART_S)] == [3.0, 0.0]


@given(times=st.lists(st.floats(0.0, 400.0), min_size=2, max_size=12, unique=True))
def test_a_session_has_served_demand_or_is_recorded_as_a_loss_of_all_it_cost(times: list[float]) -> None:
    ordered = sorted(times)
    sessions = [SessionTime(began, ended, 0.25) for began, ended in zip(ordered[::2], ordered[1::2], strict=False)]
    found = session_returns(sessions, POINTS, [], PART_S)
    assert len(found) == len(sessions) > 0
    for each in found:
        assert each.saved if each.parts else each.earned == -0.25
    assert sum(each.saved for each in found) <= sum(each.saved for each in DEMAND)

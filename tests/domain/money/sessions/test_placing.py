"""To which of several instances is a request attributed?"""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from domain.money.sessions.placing import is_full, placing

IDLE_S, NOW, ROOM = 60.0, 1000.0, 2
OPEN = GpuSession(id="s", backend="gpu", price="gpu", started=0.0, last_end=NOW - 10, cold_s=10.0, ready_at=10.0)
OVER = replace(OPEN, last_end=NOW - 100)
SPAN = SessionSpan(record="a", tenant="tenant", subject="user:1", response="resp_a", began=0.0)


def with_running(count: int, session: GpuSession = OPEN) -> GpuSession:
    return replace(session, running={f"record {number}": "tenant" for number in range(count)})


@pytest.mark.parametrize(
    ("sessions", "tried", "opened"),
    [
        ((None, None, None), (0, 1, 2), ()),
        ((OPEN, None, None), (0, 1, 2), (0,)),
        ((OVER, OPEN, None), (1, 0, 2), (1,)),
        ((with_running(2), with_running(1), with_running(1)), (0, 1, 2), (0, 1, 2)),
        ((OVER, OVER, OPEN), (2, 0, 1), (2,)),
    ],
)
def test_open_sessions_come_first_and_then_those_that_a_provider_would_start(
    sessions: tuple[GpuSession | None, ...], tried: tuple[int, ...], opened: tuple[int, ...]
) -> None:
    assert placing(sessions, idle_s=IDLE_S, now=NOW, is_held=False) == (tried, opened)


def test_where_the_product_counts_no_request_begins_a_further_session() -> None:
    held = replace(OPEN, idle_s=5.0)
    assert placing((held, None, held), idle_s=IDLE_S, now=NOW, is_held=True) == ((0, 2), (0, 2))
    assert placing((None, None, None), idle_s=IDLE_S, now=NOW, is_held=True) == ((0,), ())
    stopped = replace(held, stopped_at=NOW - 1)
    assert placing((with_running(2, held), stopped, None), idle_s=IDLE_S, now=NOW, is_held=True) == ((0,), (0,))


@given(st.lists(st.sampled_from([None, OPEN, OVER, with_running(1), with_running(2)]), min_size=1, max_size=10))
def test_every_instance_of_a_provider_is_tried_once(sessions: list[GpuSession | None]) -> None:
    tried, opened = places = placing(sessions, idle_s=IDLE_S, now=NOW, is_held=False)
    assert sorted(tried) == list(range(len(sessions)))
    assert set(opened) <= set(tried)
    assert places.beyond_room("a record") in (opened or tried)


def test_requests_without_room_are_spread_over_all_instances_that_are_up() -> None:
    places = placing([with_running(2)] * 3, idle_s=IDLE_S, now=NOW, is_held=False)
    assert {places.beyond_room(f"attempt {number}") for number in range(60)} == {0, 1, 2}


def test_a_request_that_has_its_place_keeps_it() -> None:
    assert is_full(with_running(2), None, ROOM)
    assert not is_full(with_running(2), SPAN, ROOM)
    assert not is_full(with_running(1), None, ROOM)

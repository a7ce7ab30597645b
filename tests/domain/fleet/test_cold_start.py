"""Is a start looked for when it is likely, and is it learned how long it takes?"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.cold_start import LEAST_STEP_S, STEPS, WarmUp, lease_s, observed_start_s, remaining_start_s
from domain.fleet.state_updates import (
    after_hold,
    after_opening,
    after_probe,
    after_queueing,
    after_sending,
    after_start,
    after_warm_up,
)
from tests.domain.fleets import SERVERLESS, backend

GPU = backend("gpu", cold=SERVERLESS)
NOW = 1_000_000.0

seconds = st.floats(min_value=0, max_value=1000)


@pytest.mark.parametrize(
    ("elapsed_s", "expected_s"),
    [(0, 60), (45, 15), (60, 7.5), (64, 3.5), (119, 1.0), (200, 2.5)],
)
def test_a_start_is_looked_for_at_its_median_and_then_in_steps(elapsed_s: float, expected_s: float) -> None:
    assert remaining_start_s(elapsed_s, p50_s=60, p99_s=120) == expected_s


@given(seconds, seconds, seconds)
def test_there_is_always_a_next_look_and_never_a_late_one(elapsed_s: float, p50_s: float, more_s: float) -> None:
    found_s = remaining_start_s(elapsed_s, p50_s=p50_s, p99_s=p50_s + more_s)
    assert 0 < found_s <= max(p50_s - elapsed_s, more_s / STEPS, LEAST_STEP_S) + 1e-6


def wake(held_until: float | None = None) -> WarmUp:
    return WarmUp(by="one", since=NOW, until=NOW + 180, cold_at=NOW + 10, held_until=held_until)


def test_a_request_that_was_held_until_the_backend_was_up_tells_the_start_exactly() -> None:
    assert observed_start_s(wake(), asked_at=NOW + 50, opened_at=NOW + 55) == 55


def test_a_request_that_was_let_in_at_once_tells_that_it_was_up_before() -> None:
    assert observed_start_s(wake(), asked_at=NOW + 50, opened_at=NOW + 50.1) == pytest.approx(30.05)


@pytest.mark.parametrize(
    ("at", "held_until", "expected"),
    [(NOW + 179, None, True), (NOW + 180, None, False), (NOW + 20, NOW + 30, True), (NOW + 31, NOW + 30, False)],
)
def test_a_wake_ends_with_its_time_or_with_the_death_of_its_holder(
    at: float, held_until: float | None, *, expected: bool
) -> None:
    assert wake(held_until=held_until).under_way(at) is expected


def test_one_turn_wakes_and_the_others_find_the_start_under_way() -> None:
    woken = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert woken
    assert woken.is_starting(NOW)
    assert woken.remaining_start_s(NOW + 20) == (40, 100)
    assert after_warm_up(woken, GPU, by="two", now=NOW + 5) is None
    assert after_warm_up(woken, GPU, by="one", now=NOW + 5) == woken


def test_a_backend_that_is_up_is_not_woken() -> None:
    assert after_warm_up(replace(initial_state(GPU), warm_until=NOW + 1), GPU, by="one", now=NOW) is None


def test_a_wake_that_came_to_nothing_is_counted_and_the_next_is_held() -> None:
    woken = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert woken
    assert not woken.must_hold_request(GPU)
    again = after_warm_up(woken, GPU, by="two", now=NOW + GPU.cold_start.warm_up_hold_s + lease_s(120))
    assert again
    assert again.must_hold_request(GPU)
    assert again.warm_up
    assert again.warm_up.by == "two"


def test_a_start_is_learned_when_the_first_request_is_let_in() -> None:
    woken = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert woken
    held = after_hold(woken, by="one", now=NOW + 2, held_until=None)
    up = after_opening(held, GPU, asked_at=NOW + 20, opened_at=NOW + 25)
    assert (up.cold_samples, up.cold_p50_s, up.warm_up) == ((25.0,), 25.0, None)
    assert up.warm_until == NOW + 25 + 600
    later = after_opening(up, GPU, asked_at=NOW + 26, opened_at=NOW + 27)
    assert later.cold_samples == (25.0,)


def test_what_another_turn_holds_is_its_own() -> None:
    woken = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert woken
    assert after_hold(woken, by="two", now=NOW + 2, held_until=NOW + 9) == woken


def test_a_place_is_kept_by_the_time_of_admission_until_the_attempt_begins() -> None:
    belief = initial_state(GPU)
    for name, at in (("late", 30.0), ("early", 10.0), ("middle", 20.0)):
        belief = after_queueing(belief, name, admitted_at=at, until=NOW + 60, now=NOW)
    assert [
        belief.queued_before(name, at, NOW) for name, at in (("early", 10.0), ("middle", 20.0), ("late", 30.0))
    ] == [
        0,
        1,
        2,
    ]
    assert belief.queued_before("new", 40.0, NOW) == 3
    begun = after_start(belief, attempt="attempt_1", until=NOW + 480, now=NOW, response="early")
    assert begun.queued_before("late", 30.0, NOW) == 1
    assert belief.queued_before("new", 40.0, NOW + 61) == 0


def in_doubt() -> BackendState:
    return replace(initial_state(GPU), errors=3, circuit_open_until=NOW)


def test_one_turn_probes_a_backend_in_doubt() -> None:
    probing = after_probe(in_doubt(), by="one", now=NOW)
    assert probing
    assert probing.probed(NOW + 1)
    assert after_probe(probing, by="two", now=NOW + 1) is None
    assert after_probe(probing, by="one", now=NOW + 1)
    assert after_probe(probing, by="two", now=NOW + 61)


@pytest.mark.parametrize(("by", "late_s", "since_s"), [("one", 25.0, 25.0), ("two", 25.0, 0.0)])
def test_a_start_begins_when_its_wake_is_sent(by: str, late_s: float, since_s: float) -> None:
    belief = after_sending(replace(initial_state(GPU), warm_up=wake()), by=by, now=NOW + late_s)
    assert belief.warm_up
    assert (belief.warm_up.since - NOW, belief.warm_up.until - NOW) == (since_s, 180 + since_s)

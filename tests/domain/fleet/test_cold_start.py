"""Is a start looked for when it is likely, and is it learned how long it takes?"""

from copy import replace
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.cold_start import (
    LEAST_PROBE_STEP_S,
    LEAST_STEP_S,
    PROBE_HOLD_S,
    STEPS,
    WarmUp,
    lease_s,
    observed_start_s,
    probe_times_s,
    remaining_start_s,
)
from domain.fleet.health import BackendHealth
from domain.fleet.load import QueuePlace
from domain.fleet.state_updates import (
    after_hold,
    after_opening,
    after_probe,
    after_queueing,
    after_sending,
    after_start,
    after_warm_up,
)
from domain.fleet.warmth import Warmth
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


def start_of_one(held_until: float | None = None) -> WarmUp:
    return WarmUp(by="one", since=NOW, until=NOW + 180, cold_at=NOW + 10, held_until=held_until)


@pytest.mark.parametrize(
    ("asked_s", "opened_s", "p50_s", "learned_s"),
    [
        (50, 55, 60, 55),
        (700, 700.1, 60, None),
        (50, 50.1, 60, 30.05),
        (700, 700.1, 5, 15.0),
    ],
)
def test_a_start_is_learned_exactly_or_as_an_interval(
    asked_s: float, opened_s: float, p50_s: float, learned_s: float | None
) -> None:
    """The backend was seen cold for the last time after 10 s; a slow start takes 20 s where the median is 5 s."""
    found = observed_start_s(
        start_of_one(), asked_at=NOW + asked_s, opened_at=NOW + opened_s, p50_s=p50_s, p99_s=4 * p50_s
    )
    assert found == (None if learned_s is None else pytest.approx(learned_s))


def test_a_start_that_nobody_saw_end_leaves_what_was_learned() -> None:
    starting = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert starting
    up = after_opening(starting, GPU, asked_at=NOW + 700, opened_at=NOW + 700.1)
    assert up.start_times == initial_state(GPU).start_times
    assert up.warmth.warm_up is None


@given(st.lists(seconds, max_size=40), seconds)
def test_a_start_is_probed_at_its_quantiles_and_then_less_and_less_often(samples: list[float], p50_s: float) -> None:
    times = list(islice(probe_times_s(samples, p50_s=p50_s), 8))
    assert times == sorted(times)
    assert min(later - earlier for earlier, later in pairwise(times)) >= LEAST_PROBE_STEP_S - 1e-6
    if not samples:
        assert times[0] == pytest.approx(max(p50_s - PROBE_HOLD_S / 2, LEAST_PROBE_STEP_S))


@pytest.mark.parametrize(
    ("at", "held_until", "expected"),
    [(NOW + 179, None, True), (NOW + 180, None, False), (NOW + 20, NOW + 30, True), (NOW + 31, NOW + 30, False)],
)
def test_a_warm_up_ends_with_its_time_or_with_the_death_of_its_holder(
    at: float, held_until: float | None, *, expected: bool
) -> None:
    assert start_of_one(held_until=held_until).under_way(at) is expected


def test_one_turn_sends_the_warm_up_and_the_others_find_the_start_under_way() -> None:
    starting = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert starting
    assert starting.warmth.is_starting(NOW)
    assert starting.remaining_start_s(NOW + 20) == (40, 100)
    assert after_warm_up(starting, GPU, by="two", now=NOW + 5) is None
    assert after_warm_up(starting, GPU, by="one", now=NOW + 5) == starting


def test_a_backend_that_is_up_is_not_warmed_up() -> None:
    assert after_warm_up(replace(initial_state(GPU), warmth=Warmth(warm_until=NOW + 1)), GPU, by="one", now=NOW) is None


def test_a_lost_warm_up_is_counted_and_the_next_one_is_held() -> None:
    starting = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert starting
    assert not starting.warmth.must_hold_request(GPU)
    again = after_warm_up(starting, GPU, by="two", now=NOW + GPU.cold_start.warm_up_hold_s + lease_s(120))
    assert again
    assert again.warmth.must_hold_request(GPU)
    assert again.warmth.warm_up
    assert again.warmth.warm_up.by == "two"


def test_a_start_is_learned_when_the_first_request_is_let_in() -> None:
    starting = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert starting
    held = after_hold(starting, by="one", now=NOW + 2, held_until=None)
    up = after_opening(held, GPU, asked_at=NOW + 20, opened_at=NOW + 25)
    assert (up.start_times.samples, up.start_times.p50_s, up.warmth.warm_up) == ((25.0,), 25.0, None)
    assert up.warmth.warm_until == NOW + 25 + 600
    later = after_opening(up, GPU, asked_at=NOW + 26, opened_at=NOW + 27)
    assert later.start_times.samples == (25.0,)


def test_what_another_turn_holds_is_its_own() -> None:
    starting = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert starting
    assert after_hold(starting, by="two", now=NOW + 2, held_until=NOW + 9) == starting


def test_a_place_is_kept_by_the_time_of_admission_until_the_attempt_begins() -> None:
    state = initial_state(GPU)
    for name, at in (("late", 30.0), ("early", 10.0), ("middle", 20.0)):
        state = after_queueing(state, name, QueuePlace(at, NOW + 60), now=NOW)
    assert [
        state.load.queued_before(name, at, NOW) for name, at in (("early", 10.0), ("middle", 20.0), ("late", 30.0))
    ] == [
        0,
        1,
        2,
    ]
    assert state.load.queued_before("new", 40.0, NOW) == 3
    begun = after_start(state, attempt="attempt_1", until=NOW + 480, now=NOW, response="early")
    assert begun.load.queued_before("late", 30.0, NOW) == 1
    assert state.load.queued_before("new", 40.0, NOW + 61) == 0


def in_doubt() -> BackendState:
    return replace(initial_state(GPU), health=BackendHealth(errors=3, circuit_open_until=NOW))


def test_one_turn_probes_a_backend_in_doubt() -> None:
    probing = after_probe(in_doubt(), by="one", now=NOW)
    assert probing
    assert probing.health.is_probed(NOW + 1)
    assert after_probe(probing, by="two", now=NOW + 1) is None
    assert after_probe(probing, by="one", now=NOW + 1)
    assert after_probe(probing, by="two", now=NOW + 61)


@pytest.mark.parametrize(("by", "late_s", "since_s"), [("one", 25.0, 25.0), ("two", 25.0, 0.0)])
def test_a_start_begins_when_its_warm_up_is_sent(by: str, late_s: float, since_s: float) -> None:
    state = after_sending(replace(initial_state(GPU), warmth=Warmth(warm_up=start_of_one())), by=by, now=NOW + late_s)
    assert state.warmth.warm_up
    assert (state.warmth.warm_up.since - NOW, state.warmth.warm_up.until - NOW) == (since_s, 180 + since_s)

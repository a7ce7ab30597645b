"""What is learned of a start whose first warm-up counted as lost?"""

from copy import replace

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.cold_start import WarmUp
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.state_updates import after_failure, after_opening, after_warm_up
from tests.domain.fleets import SERVERLESS, backend

NOW = 1_000_000.0
START_S = 300.0
GPU = backend("gpu", cold=replace(SERVERLESS, p50_s=10, p99_s=20))


def warmed_up(state: BackendState, at: float) -> BackendState:
    after = after_warm_up(state, GPU, by=f"turn {at}", now=at)
    assert after
    return after


def test_a_start_that_outlasts_its_warm_ups_is_learned_from_the_first_one() -> None:
    state, at = initial_state(GPU), NOW
    while at < NOW + START_S:
        state = warmed_up(state, at)
        assert state.warmth.warm_up
        at = state.warmth.warm_up.until
    opened = after_opening(state, GPU, asked_at=NOW + START_S - 5, opened_at=NOW + START_S)
    assert opened.start_times.samples == (START_S,)


def test_a_warm_up_that_was_lost_long_ago_began_no_start() -> None:
    lost = warmed_up(initial_state(GPU), NOW).warmth.warm_up
    assert lost
    later = lost.until + 1000
    state = warmed_up(replace(initial_state(GPU), warmth=replace(initial_state(GPU).warmth, warm_up=lost)), later)
    opened = after_opening(state, GPU, asked_at=later, opened_at=later + 12)
    assert opened.start_times.samples == (12.0,)


def test_a_warm_up_that_a_request_outlives_counts_as_lost_until_the_backend_is_up() -> None:
    lost = warmed_up(initial_state(GPU), NOW)
    assert lost.warmth.warm_up
    ended = lost.warmth.warm_up.until + 1
    cold = Diagnosis(failure_class=FailureClass.COLD, delay_s=None, reason="held")
    seen = after_failure(lost, cold, GPU, attempt="attempt", asked_at=ended - 10, now=ended)
    assert seen.warmth.is_starting(ended)
    assert seen.warmth.must_hold_request(GPU)
    opened = after_opening(seen, GPU, asked_at=ended + 5, opened_at=ended + 15)
    assert opened.start_times.samples == (ended + 15 - NOW,)
    assert not opened.warmth.must_hold_request(GPU)


def test_a_warm_up_keeps_the_first_one_in_its_document() -> None:
    first = WarmUp(by="turn", since=2.0, until=9.0, cold_at=2.0, first_since=1.0)
    assert WarmUp.from_document(first.to_document()) == first
    assert "first_since" not in replace(first, first_since=None).to_document()

"""Do states follow what attempts show?"""

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.health import HEALTHY
from domain.fleet.learned_speed import Observation
from domain.fleet.state_updates import (
    after_failure,
    after_start,
    after_success,
)
from tests.domain.fleets import SERVERLESS, backend

GPU = backend("gpu", cold=SERVERLESS)
STEADY = backend("steady")
NOW = 1_000_000.0


def seen(
    *,
    attempt: str = "attempt_1",
    started_at: float = NOW,
    first_token_at: float = NOW + 1,
    ended_at: float = NOW + 11,
    input_tokens: int = 1000,
    output_tokens: int = 501,
    cold_s: float | None = None,
) -> Observation:
    return Observation(
        attempt=attempt,
        started_at=started_at,
        first_token_at=first_token_at,
        ended_at=ended_at,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cold_s=cold_s,
    )


def failed(state: BackendState, failure_class: FailureClass, delay_s: float | None = None) -> BackendState:
    diagnosis = Diagnosis(failure_class=failure_class, delay_s=delay_s, reason="seen")
    return after_failure(state, diagnosis, GPU, attempt="attempt_1", asked_at=NOW - 1, now=NOW)


def test_an_answer_keeps_a_serverless_backend_warm_for_its_tail() -> None:
    state = after_success(initial_state(GPU), seen(), GPU)
    assert state.warmth.warm_until == NOW + 11 + 600
    assert state.warmth.is_warm(NOW + 600)
    assert not state.warmth.is_warm(NOW + 612)


def test_a_late_report_of_an_early_answer_shortens_nothing() -> None:
    late = after_success(initial_state(GPU), seen(ended_at=NOW + 500), GPU)
    assert after_success(late, seen(), GPU).warmth.warm_until == NOW + 1100


def test_a_backend_that_never_scales_in_needs_no_warmth() -> None:
    assert after_success(initial_state(STEADY), seen(), STEADY).warmth.warm_until is None


def test_speeds_move_a_fifth_of_the_way_to_what_was_measured() -> None:
    state = after_success(initial_state(GPU), seen(first_token_at=NOW + 2, ended_at=NOW + 7), GPU)
    assert state.speed.prefill_tokens_s == pytest.approx(1000 + 0.2 * (500 - 1000))
    assert state.speed.decode_tokens_s == pytest.approx(50 + 0.2 * (100 - 50))


def test_one_absurd_measurement_moves_a_speed_by_a_bounded_step() -> None:
    state = after_success(initial_state(GPU), seen(ended_at=NOW + 1.000001), GPU)
    assert state.speed.decode_tokens_s == pytest.approx(50 + 0.2 * (200 - 50))


def test_a_short_answer_teaches_no_speed() -> None:
    state = after_success(initial_state(GPU), seen(input_tokens=20, output_tokens=3), GPU)
    assert (state.speed.prefill_tokens_s, state.speed.decode_tokens_s) == (1000, 50)


def test_the_time_of_a_start_is_not_held_against_the_speed() -> None:
    state = after_success(initial_state(GPU), seen(first_token_at=NOW + 31, ended_at=NOW + 41, cold_s=30.0), GPU)
    assert state.speed.prefill_tokens_s == pytest.approx(1000)


def test_cold_starts_are_learned_and_a_few_don_t_lower_the_worst() -> None:
    times = initial_state(GPU).start_times
    for count in range(1, 8):
        times = times.after(20.0 + count, longest_s=120.0)
        assert times.p99_s == 120
    times = times.after(40.0, longest_s=120.0)
    assert (times.p50_s, times.p99_s) == (24, 40)


def test_only_the_last_cold_starts_are_remembered() -> None:
    times = initial_state(GPU).start_times
    for _ in range(40):
        times = times.after(200.0, longest_s=120.0)
    for _ in range(32):
        times = times.after(10.0, longest_s=120.0)
    assert (times.p50_s, times.p99_s, len(times.samples)) == (10, 10, 32)


def test_an_attempt_that_is_started_twice_runs_once() -> None:
    state = initial_state(GPU)
    for _ in range(2):
        state = after_start(state, attempt="attempt_1", until=NOW + 480, now=NOW)
    assert state.load.running(NOW) == 1
    assert after_success(state, seen(), GPU).load.running(NOW) == 0


def test_an_attempt_that_died_is_not_counted_for_ever() -> None:
    state = after_start(initial_state(GPU), attempt="attempt_1", until=NOW + 480, now=NOW)
    assert state.load.running(NOW + 481) == 0
    assert dict(after_start(state, attempt="attempt_2", until=NOW + 900, now=NOW + 481).load.in_flight) == {
        "attempt_2": NOW + 900
    }


def test_a_cold_answer_ends_the_warmth_and_begins_a_start() -> None:
    warm = after_success(
        initial_state(GPU), seen(started_at=NOW - 100, first_token_at=NOW - 99, ended_at=NOW - 90), GPU
    )
    cold = failed(warm, FailureClass.COLD)
    assert (cold.warmth.warm_until, cold.health.errors) == (None, 0)
    assert cold.warmth.is_starting(NOW)
    assert cold.warmth.warm_up
    assert (cold.warmth.warm_up.by, cold.warmth.warm_up.since, cold.warmth.warm_up.cold_at) == (
        "attempt_1",
        NOW - 1,
        NOW,
    )


def test_a_backend_that_answered_another_meanwhile_is_full_and_not_cold() -> None:
    warm = after_success(initial_state(GPU), seen(ended_at=NOW), GPU)
    assert failed(warm, FailureClass.COLD).warmth.is_warm(NOW)


@pytest.mark.parametrize(("delay_s", "until"), [(None, NOW + 5), (30.0, NOW + 30), (0.0, NOW), (86_400.0, NOW + 3600)])
def test_a_throttled_backend_is_left_alone_for_as_long_as_it_asks(delay_s: float | None, until: float) -> None:
    assert failed(initial_state(GPU), FailureClass.THROTTLED, delay_s).health.cooldown_until == until


def test_a_short_pause_does_not_cut_a_long_one() -> None:
    long = failed(initial_state(GPU), FailureClass.THROTTLED, 60.0)
    assert failed(long, FailureClass.THROTTLED, 1.0).health.cooldown_until == NOW + 60


def test_the_circuit_opens_at_the_third_error_and_stays_open_longer_each_time() -> None:
    state, opened = initial_state(GPU), list[float | None]()
    for _ in range(12):
        state = failed(state, FailureClass.BROKEN)
        opened.append(state.health.circuit_open_until)
    pauses = [None if until is None else until - NOW for until in opened]
    assert pauses[:5] == [None, None, 5, 10, 20]
    assert pauses[-1] == 300


@pytest.mark.parametrize("failure_class", [FailureClass.BROKEN, FailureClass.INDETERMINATE, FailureClass.THROTTLED])
def test_an_answer_to_an_earlier_request_ends_no_error_state(failure_class: FailureClass) -> None:
    in_trouble = failed(failed(failed(initial_state(GPU), failure_class), failure_class), failure_class)
    early, late = seen(started_at=NOW - 1), seen(started_at=NOW)
    still = after_success(in_trouble, early, GPU)
    assert still.health == in_trouble.health
    assert after_success(still, late, GPU).health == HEALTHY


def test_an_answer_closes_the_circuit() -> None:
    state = initial_state(GPU)
    for _ in range(3):
        state = failed(state, FailureClass.INDETERMINATE)
    assert state.health.circuit_open_until is not None
    mended = after_success(state, seen(), GPU)
    assert (mended.health.errors, mended.health.circuit_open_until) == (0, None)


@pytest.mark.parametrize("failure_class", [FailureClass.CLIENT, FailureClass.UNFIT])
def test_a_bad_request_teaches_nothing_but_its_end(failure_class: FailureClass) -> None:
    state = after_start(initial_state(GPU), attempt="attempt_1", until=NOW + 480, now=NOW)
    assert failed(state, failure_class) == initial_state(GPU)

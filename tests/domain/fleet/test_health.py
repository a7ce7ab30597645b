"""How long do failures keep turns away from a backend, and who tries it again?"""

import pytest

from domain.fleet.health import (
    CIRCUIT_ERRORS,
    CIRCUIT_S,
    HEALTHY,
    LONGEST_CIRCUIT_S,
    LONGEST_THROTTLE_S,
    PROBE_S,
    THROTTLE_S,
    BackendHealth,
    circuit_until,
)

NOW = 1000.0


def after_errors(count: int) -> BackendHealth:
    health = HEALTHY
    for _ in range(count):
        health = health.after_error(now=NOW)
    return health


def test_the_circuit_opens_for_ever_longer_up_to_its_limit() -> None:
    assert circuit_until(CIRCUIT_ERRORS - 1, NOW) is None
    assert circuit_until(CIRCUIT_ERRORS, NOW) == NOW + CIRCUIT_S
    assert circuit_until(CIRCUIT_ERRORS + 1, NOW) == NOW + 2 * CIRCUIT_S
    assert circuit_until(CIRCUIT_ERRORS + 10_000, NOW) == NOW + LONGEST_CIRCUIT_S


def test_one_error_is_a_failure_and_several_are_a_doubt() -> None:
    assert (HEALTHY.is_failing, HEALTHY.is_uncertain) == (False, False)
    assert (after_errors(1).is_failing, after_errors(1).is_uncertain) == (True, False)
    assert after_errors(CIRCUIT_ERRORS).is_uncertain
    assert HEALTHY.after_throttling(1.0, now=NOW).is_failing


@pytest.mark.parametrize(("delay_s", "pause_s"), [(None, THROTTLE_S), (7.0, 7.0), (1e9, LONGEST_THROTTLE_S)])
def test_a_pause_is_as_long_as_the_backend_asks_within_a_limit(delay_s: float | None, pause_s: float) -> None:
    assert HEALTHY.after_throttling(delay_s, now=NOW).cooldown_until == NOW + pause_s


def test_one_turn_at_a_time_tries_a_backend_in_doubt() -> None:
    tried = after_errors(CIRCUIT_ERRORS).probed_by("resp_1", now=NOW)
    assert tried is not None
    assert tried.is_probed(NOW)
    assert tried.probed_by("resp_2", now=NOW + PROBE_S - 1) is None
    assert tried.probed_by("resp_1", now=NOW + 1) is not None
    other = tried.probed_by("resp_2", now=NOW + PROBE_S)
    assert other is not None
    assert (other.probe_by, other.probe_until) == ("resp_2", NOW + 2 * PROBE_S)
    assert not tried.after_error(now=NOW).is_probed(NOW)


def test_only_an_answer_to_a_later_request_ends_the_failures() -> None:
    failed = after_errors(2)
    assert failed.after_success(asked_at=NOW - 0.1) == failed
    assert failed.after_success(asked_at=NOW) == HEALTHY


@pytest.mark.parametrize("health", [HEALTHY, after_errors(4), HEALTHY.after_throttling(None, now=NOW)])
def test_a_health_is_read_as_it_was_written(health: BackendHealth) -> None:
    assert BackendHealth.from_document(health.to_document()) == health

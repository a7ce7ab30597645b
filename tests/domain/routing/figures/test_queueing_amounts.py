"""How many seconds does a queued turn wait in each case? The amounts, and their bounds to the last digit."""

from copy import replace

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.cold_start import FailedWarmUp
from domain.fleet.warmth import Warmth
from domain.routing.candidates import Candidate
from domain.routing.estimates import Demand
from domain.routing.queueing import QueuedTurn, QueueWait, queueing_s, wait_for
from domain.routing.router import route
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet
from tests.domain.routing.test_queueing import HELD, NOW, crowd, serving_in, starting_since, up

GPU = backend("gpu", cold=SERVERLESS)
TURN = QueuedTurn(response="mine", input_tokens=2000, admitted_at=NOW, hold_s=10)


def candidate(*, start_s: float = 0.0, busy_s: float = 1.0) -> Candidate:
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500)
    (found,) = route(demand, fleet(GPU), {"gpu": up()}, NOW).candidates
    return replace(found, remaining_start_s=start_s, found=replace(found.found, busy_s=busy_s))


def wait(state: BackendState, **amounts: float) -> QueueWait | None:
    return wait_for(candidate(**amounts), state, GPU, TURN, now=NOW)


def test_a_start_that_ends_with_the_hold_time_is_waited_for_in_the_attempt() -> None:
    assert wait(up(), start_s=10.0) is None
    found = wait(up(), start_s=10.001)
    assert found
    assert (found.delay_s, found.cause) == (8.001, "start")
    assert found.kept_until == pytest.approx(NOW + 8.001 + 30.0)


@pytest.mark.parametrize(
    ("running", "before", "delay_s"),
    [(4, 0, 3.0), (4, 3, 3.0), (4, 4, 6.0), (3, 1, 3.0), (3, 5, 6.0), (0, 4, 3.0), (0, 8, 6.0)],
)
def test_a_turn_waits_for_whole_rounds_of_those_before_it(running: int, before: int, delay_s: float) -> None:
    """Four turns run at once, for three seconds each."""
    found = wait(crowd(serving_in(3.0), running=running, before=before))
    assert found
    assert (found.delay_s, found.cause) == (delay_s, "room")


def test_a_turn_behind_others_waits_for_the_start_and_then_for_them() -> None:
    found = wait(crowd(serving_in(3.0), running=4), start_s=60.0)
    assert found
    assert found.delay_s == 63.0


@pytest.mark.parametrize(
    ("waves", "service_s", "busy_s", "expected_s"),
    [
        (2, 3.0, 9.0, 6.0),
        (1, 0.1, 9.0, 0.5),
        (1, 0.5, 9.0, 0.5),
        (9, 3.0, 9.0, 15.0),
        (2, None, 0.4, 0.8),
        (2, None, 0.1, 0.5),
        (2, None, 5.0, 2.0),
    ],
)
def test_a_queue_takes_its_observed_or_its_guessed_time_within_bounds(
    waves: int, service_s: float | None, busy_s: float, expected_s: float
) -> None:
    assert queueing_s(waves, serving_in(service_s), candidate(busy_s=busy_s)) == expected_s


def test_after_a_failed_warm_up_a_turn_looks_again_within_two_seconds() -> None:
    failed = replace(
        initial_state(GPU),
        warmth=Warmth(failed_warm_up=FailedWarmUp(at=NOW, again_at=NOW, tries=1, final=False, reason="no")),
    )
    found = wait(failed, start_s=60.0)
    assert found
    assert found.delay_s == 2.0
    near = wait(failed, start_s=11.0)
    assert near
    assert near.delay_s == 2.0


def test_a_start_that_a_process_holds_is_trusted_for_twenty_seconds() -> None:
    found = wait_for(candidate(start_s=60.0), starting_since(NOW, HELD), HELD, TURN, now=NOW)
    assert found
    assert found.delay_s == 20.0
    free = wait(starting_since(NOW), start_s=60.0)
    assert free
    assert free.delay_s == 54.0


def test_delays_are_whole_milliseconds() -> None:
    found = wait(up(), start_s=20.00049)
    assert found
    assert found.delay_s == 18.0

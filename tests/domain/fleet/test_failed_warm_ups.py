"""Does a wake that started nothing keep a turn no longer than it may help, and tell it why?"""

import json
from dataclasses import replace

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.cold_start import FailedWarmUp
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.retry_policy import WARM_UP_POLICIES
from domain.fleet.state_updates import Observation, after_failed_warm_up, after_opening, after_success, after_warm_up
from domain.routing.estimates import Demand
from domain.routing.router import RouteDecision, route
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet

NOW = 1_000_000.0
GPU = backend("gpu", cold=SERVERLESS)
API = backend("api", price="api")
WHY = "Google IAM Credentials refused to impersonate the service account; grant it"


def tried(belief: BackendState, posture: FailureClass, *, at: float, by: str = "one") -> BackendState:
    woken = after_warm_up(belief, GPU, by=by, now=at)
    assert woken
    return after_failed_warm_up(woken, Diagnosis(failure_class=posture, delay_s=None, reason=WHY), by=by, now=at)


def failed_times(times: int, posture: FailureClass) -> BackendState:
    """Return what is believed when the last of so many wakes fails at NOW."""
    belief = initial_state(GPU)
    for number in range(times):
        belief = tried(belief, posture, at=NOW - 100 * (times - 1 - number))
    return belief


def decided(
    belief: BackendState, *, now: float = NOW, admitted_at: float = NOW - 1, others: bool = False
) -> RouteDecision:
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500, admitted_at=admitted_at)
    return route(demand, fleet(GPU, *((API,) if others else ())), {"gpu": belief}, now)


def failed_of(belief: BackendState) -> FailedWarmUp:
    assert belief.failed_warm_up
    return belief.failed_warm_up


@pytest.mark.parametrize(
    ("posture", "pauses"),
    [(FailureClass.BROKEN, [1, 2, 4, 8, 8, 8]), (FailureClass.INDETERMINATE, [2, 4, 8, 15, 15, 15])],
)
def test_a_wake_is_tried_again_after_pauses_that_grow(posture: FailureClass, pauses: list[float]) -> None:
    found = [failed_of(failed_times(times, posture)) for times in range(1, 7)]
    assert [failed.again_at - NOW for failed in found] == pauses
    assert [failed.final for failed in found] == [times >= WARM_UP_POLICIES[posture].tries for times in range(1, 7)]


@pytest.mark.parametrize("posture", WARM_UP_POLICIES)
def test_no_answer_names_a_longer_pause_than_ours(posture: FailureClass) -> None:
    woken = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert woken
    refused = Diagnosis(failure_class=posture, delay_s=86_400.0, reason=WHY)
    assert (
        failed_of(after_failed_warm_up(woken, refused, by="one", now=NOW)).again_at - NOW
        == WARM_UP_POLICIES[posture].cap_s
    )


def test_a_turn_waits_for_the_next_try_and_then_wakes_it_again() -> None:
    belief = failed_times(1, FailureClass.BROKEN)
    waiting = decided(belief)
    assert (waiting.backend, waiting.warm_up, waiting.retry_in_s) == (None, None, 1.0)
    again = decided(belief, now=NOW + 1)
    assert (again.backend, again.warm_up) == ("gpu", "gpu")


@pytest.mark.parametrize("posture", WARM_UP_POLICIES)
def test_what_has_failed_often_enough_is_the_answer_to_turns_that_waited_for_it(posture: FailureClass) -> None:
    belief = failed_times(WARM_UP_POLICIES[posture].tries, posture)
    told = decided(belief)
    assert (told.backend, told.retry_in_s) == (None, None)
    (refused,) = told.rejected
    assert (refused.code, refused.reason) == ("wake", f"it is cold and its last warm-up failed: {WHY}")


def test_a_turn_that_comes_later_has_it_tried_once_more() -> None:
    belief = failed_times(3, FailureClass.BROKEN)
    assert decided(belief, now=NOW + 2, admitted_at=NOW + 1).retry_in_s == 2.0
    assert decided(belief, now=NOW + 4, admitted_at=NOW + 1).warm_up == "gpu"
    failed_again = tried(belief, FailureClass.BROKEN, at=NOW + 4, by="two")
    assert decided(failed_again, now=NOW + 4, admitted_at=NOW + 1).retry_in_s is None


def test_others_take_the_turn_meanwhile() -> None:
    assert decided(failed_times(1, FailureClass.INDETERMINATE), others=True).backend == "api"


def test_a_failure_is_forgotten_when_the_backend_is_seen_to_be_up() -> None:
    belief = failed_times(2, FailureClass.BROKEN)
    assert after_opening(belief, GPU, asked_at=NOW, opened_at=NOW + 1).failed_warm_up is None
    seen = Observation(attempt="a", started_at=NOW, first_token_at=NOW, ended_at=NOW, input_tokens=1, output_tokens=1)
    assert after_success(belief, seen, GPU).failed_warm_up is None


def test_a_start_under_way_and_a_backend_that_is_up_are_not_refused_for_an_older_failure() -> None:
    belief = failed_times(1, FailureClass.BROKEN)
    assert decided(replace(belief, warm_until=NOW + 60)).backend == "gpu"
    woken = after_warm_up(belief, GPU, by="two", now=NOW)
    assert woken
    assert decided(woken).backend == "gpu"


def test_the_failure_of_a_wake_that_is_no_more_its_own_teaches_nothing() -> None:
    woken = after_warm_up(initial_state(GPU), GPU, by="two", now=NOW)
    assert woken
    assert after_failed_warm_up(
        woken, Diagnosis(failure_class=FailureClass.BROKEN, delay_s=None, reason=WHY), by="one", now=NOW
    ) == (woken)


def test_a_failure_survives_its_store() -> None:
    belief = failed_times(2, FailureClass.BROKEN)
    assert BackendState.from_document(json.loads(json.dumps(belief.to_document()))) == belief
    older = {name: value for name, value in initial_state(GPU).to_document().items() if name != "failed_wake"}
    assert BackendState.from_document(older) == initial_state(GPU)

"""How long does a turn wait after a failed warm-up, and which reason does it give?"""

import json
from copy import replace

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.cold_start import FailedWarmUp
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.learned_speed import Observation
from domain.fleet.retry_policy import WARM_UP_POLICIES
from domain.fleet.state_updates import after_failed_warm_up, after_opening, after_success, after_warm_up
from domain.routing.estimates import Demand
from domain.routing.router import RouteDecision, route
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet

NOW = 1_000_000.0
GPU = backend("gpu", cold=SERVERLESS)
API = backend("api", price="api")
WHY = "Google IAM Credentials refused to impersonate the service account; grant it"


def tried(state: BackendState, failure_class: FailureClass, *, at: float, by: str = "one") -> BackendState:
    starting = after_warm_up(state, GPU, by=by, now=at)
    assert starting
    return after_failed_warm_up(
        starting, Diagnosis(failure_class=failure_class, delay_s=None, reason=WHY), by=by, now=at
    )


def failed_times(times: int, failure_class: FailureClass) -> BackendState:
    """Return what is the state when the last of so many warm-ups fails at NOW."""
    state = initial_state(GPU)
    for number in range(times):
        state = tried(state, failure_class, at=NOW - 100 * (times - 1 - number))
    return state


def decided(
    state: BackendState, *, now: float = NOW, admitted_at: float = NOW - 1, others: bool = False
) -> RouteDecision:
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500, admitted_at=admitted_at)
    return route(demand, fleet(GPU, *((API,) if others else ())), {"gpu": state}, now)


def failed_of(state: BackendState) -> FailedWarmUp:
    assert state.warmth.failed_warm_up
    return state.warmth.failed_warm_up


@pytest.mark.parametrize(
    ("failure_class", "pauses"),
    [(FailureClass.BROKEN, [1, 2, 4, 8, 8, 8]), (FailureClass.INDETERMINATE, [2, 4, 8, 15, 15, 15])],
)
def test_a_failed_warm_up_is_retried_after_growing_pauses(failure_class: FailureClass, pauses: list[float]) -> None:
    found = [failed_of(failed_times(times, failure_class)) for times in range(1, 7)]
    assert [failed.again_at - NOW for failed in found] == pauses
    assert [failed.final for failed in found] == [
        times >= WARM_UP_POLICIES[failure_class].tries for times in range(1, 7)
    ]


@pytest.mark.parametrize("failure_class", WARM_UP_POLICIES)
def test_no_answer_names_a_longer_pause_than_ours(failure_class: FailureClass) -> None:
    starting = after_warm_up(initial_state(GPU), GPU, by="one", now=NOW)
    assert starting
    rejected = Diagnosis(failure_class=failure_class, delay_s=86_400.0, reason=WHY)
    assert (
        failed_of(after_failed_warm_up(starting, rejected, by="one", now=NOW)).again_at - NOW
        == WARM_UP_POLICIES[failure_class].cap_s
    )


def test_a_turn_waits_for_the_next_try_and_then_sends_another_warm_up() -> None:
    state = failed_times(1, FailureClass.BROKEN)
    waiting = decided(state)
    assert (waiting.backend, waiting.warm_up, waiting.retry_in_s) == (None, None, 1.0)
    again = decided(state, now=NOW + 1)
    assert (again.backend, again.warm_up) == ("gpu", "gpu")


@pytest.mark.parametrize("failure_class", WARM_UP_POLICIES)
def test_what_has_failed_often_enough_is_the_answer_to_turns_that_waited_for_it(failure_class: FailureClass) -> None:
    state = failed_times(WARM_UP_POLICIES[failure_class].tries, failure_class)
    decision = decided(state)
    assert (decision.backend, decision.retry_in_s) == (None, None)
    (rejected,) = decision.rejected
    assert (rejected.code, rejected.reason) == ("wake", f"it is cold and its last warm-up failed: {WHY}")


def test_a_turn_that_comes_later_has_it_tried_once_more() -> None:
    state = failed_times(3, FailureClass.BROKEN)
    assert decided(state, now=NOW + 2, admitted_at=NOW + 1).retry_in_s == 2.0
    assert decided(state, now=NOW + 4, admitted_at=NOW + 1).warm_up == "gpu"
    failed_again = tried(state, FailureClass.BROKEN, at=NOW + 4, by="two")
    assert decided(failed_again, now=NOW + 4, admitted_at=NOW + 1).retry_in_s is None


def test_others_take_the_turn_meanwhile() -> None:
    assert decided(failed_times(1, FailureClass.INDETERMINATE), others=True).backend == "api"


def test_a_failure_is_forgotten_when_the_backend_is_seen_to_be_up() -> None:
    state = failed_times(2, FailureClass.BROKEN)
    assert after_opening(state, GPU, asked_at=NOW, opened_at=NOW + 1).warmth.failed_warm_up is None
    seen = Observation(attempt="a", started_at=NOW, first_token_at=NOW, ended_at=NOW, input_tokens=1, output_tokens=1)
    assert after_success(state, seen, GPU).warmth.failed_warm_up is None


def test_a_starting_and_a_warm_backend_are_not_rejected_for_an_older_failure() -> None:
    state = failed_times(1, FailureClass.BROKEN)
    assert decided(replace(state, warmth=replace(state.warmth, warm_until=NOW + 60))).backend == "gpu"
    starting = after_warm_up(state, GPU, by="two", now=NOW)
    assert starting
    assert decided(starting).backend == "gpu"


def test_the_failure_of_a_warm_up_of_another_turn_changes_nothing() -> None:
    starting = after_warm_up(initial_state(GPU), GPU, by="two", now=NOW)
    assert starting
    assert (
        after_failed_warm_up(
            starting, Diagnosis(failure_class=FailureClass.BROKEN, delay_s=None, reason=WHY), by="one", now=NOW
        )
        == starting
    )


def test_a_failure_survives_its_store() -> None:
    state = failed_times(2, FailureClass.BROKEN)
    assert BackendState.from_document(json.loads(json.dumps(state.to_document()))) == state
    older = {name: value for name, value in initial_state(GPU).to_document().items() if name != "failed_wake"}
    assert BackendState.from_document(older) == initial_state(GPU)

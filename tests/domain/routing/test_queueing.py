"""Does a turn go to its backend when it is its turn, and neither early nor much later?"""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import StartTimes
from domain.fleet.instances.further import FurtherInstance
from domain.fleet.instances.scaling import Scaling
from domain.fleet.instances.several import with_further
from domain.fleet.load import QueuePlace
from domain.fleet.state_updates import after_queueing, after_warm_up
from domain.fleet.warmth import Warmth
from domain.routing.estimates import Demand
from domain.routing.queueing import (
    KEEP_S,
    LEAST_LOOK_S,
    LONGEST_QUEUE_S,
    LONGEST_TRUST_S,
    QueuedTurn,
    QueueWait,
    hold_for,
    turns_with_room,
    wait_for,
)
from domain.routing.router import route
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet

NOW = 1_000_000.0
GPU = backend("gpu", cold=SERVERLESS)
HELD = backend("gpu", cold=replace(SERVERLESS, abandoned_starts=False))
TURN = QueuedTurn(response="mine", input_tokens=2000, admitted_at=NOW, hold_s=10)


def starting_since(since: float, gpu: Backend = GPU) -> BackendState:
    state = after_warm_up(initial_state(gpu), gpu, by="another", now=since)
    assert state
    return state


def up() -> BackendState:
    return replace(initial_state(GPU), warmth=Warmth(warm_until=NOW + 500))


def serving_in(service_s: float | None) -> BackendState:
    """Return the state of a warm backend whose requests have taken so long."""
    return replace(up(), speed=replace(up().speed, service_s=service_s))


def planned(state: BackendState, gpu: Backend = GPU, *, at: float = NOW, turn: QueuedTurn = TURN) -> QueueWait | None:
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500)
    (found,) = route(demand, fleet(gpu), {"gpu": state}, at).candidates
    return wait_for(found, state, gpu, turn, now=at)


def crowd(state: BackendState, *, running: int = 0, before: int = 0, after: int = 0) -> BackendState:
    for number in range(before + after):
        at = NOW - 10 if number < before else NOW + 10
        state = after_queueing(state, f"turn {number}", QueuePlace(at, NOW + 60), now=NOW)
    in_flight = {f"attempt {number}": NOW + 60 for number in range(running)}
    return replace(state, load=replace(state.load, in_flight=in_flight))


@given(
    running=st.integers(0, 6), before=st.integers(0, 6), after=st.integers(0, 6), kept_s=st.sampled_from([-1.0, 60.0])
)
def test_a_turn_has_room_where_it_would_not_wait(running: int, before: int, after: int, kept_s: float) -> None:
    """What wakes a turn and what lets it call agree: a turn that is woken does not wait again for the same state."""
    crowded = crowd(up(), running=running, before=before, after=after)
    place = QueuePlace(TURN.admitted_at, NOW + kept_s, wait=3)
    state = replace(crowded, load=replace(crowded.load, queue_places={**crowded.load.queue_places, "mine": place}))
    woken = turns_with_room(state, GPU, now=NOW)
    assert ("mine" in woken) is (planned(state) is None and kept_s > 0)
    assert len(woken) == min(max(0, GPU.limits.concurrency - running), before + after + (kept_s > 0))


@pytest.mark.parametrize("is_worth_it", [True, False])
def test_a_provider_of_several_instances_sees_what_one_has_no_room_for_once_another_is_worth_its_price(
    *, is_worth_it: bool
) -> None:
    grown, in_line = replace(GPU, max_instances=3), GPU.limits.concurrency
    state = crowd(starting_since(NOW, grown), before=in_line)
    if is_worth_it:
        state = with_further(state, (FurtherInstance(by="other", since=NOW),))
    assert (planned(state, grown) is None) is is_worth_it
    assert planned(state) is not None
    queued = after_queueing(state, TURN.response, QueuePlace(TURN.admitted_at, NOW + 60, wait=1), now=NOW)
    assert (planned(queued, grown) is None) is is_worth_it
    assert len(turns_with_room(queued, grown, now=NOW)) == (in_line + 1 if is_worth_it else 0)


def test_nobody_is_woken_for_a_backend_that_is_not_up() -> None:
    assert not turns_with_room(crowd(starting_since(NOW), before=3), GPU, now=NOW)


@pytest.mark.parametrize(
    ("state", "expected_s"),
    [
        (starting_since(NOW), 54.0),
        (starting_since(NOW - 40), 14.0),
        (starting_since(NOW - 52), None),
        (starting_since(NOW - 60), None),
        (initial_state(GPU), 58.0),
        (up(), None),
    ],
)
def test_only_the_last_seconds_of_a_start_are_waited_for_in_an_attempt(
    state: BackendState, expected_s: float | None
) -> None:
    found = planned(state)
    assert (found.delay_s if found else None) == expected_s


def test_the_first_turn_in_line_looks_from_shortly_before_the_shortest_start() -> None:
    state = replace(
        starting_since(NOW - 18), start_times=StartTimes(p50_s=60.0, p99_s=90.0, samples=(60.0, 20.0, 70.0))
    )
    due, second, early = planned(state), planned(crowd(state, before=1)), planned(state, at=NOW - 8)
    assert due
    assert second
    assert early
    assert (due.delay_s, due.look_s) == (1.5, 1.5)
    assert (second.delay_s, second.look_s) == (40.0, 0.0)
    assert (early.delay_s, early.look_s) == (8.0, 0.0)


@pytest.mark.parametrize("since_s", [0.05, 1.0, 2.9])
def test_a_start_that_was_just_claimed_is_not_looked_at_however_short_one_was(since_s: float) -> None:
    """Its cost may not be reserved yet: a look would start a GPU that nobody pays for."""
    seen = StartTimes(p50_s=60.0, p99_s=90.0, samples=(0.1, 60.0, 70.0))
    found = planned(replace(starting_since(NOW - since_s), start_times=seen))
    assert found
    assert found.look_s == 0
    assert found.delay_s == pytest.approx(3.0 - since_s)
    later = planned(replace(starting_since(NOW - 3.0), start_times=seen))
    assert later
    assert later.look_s > 0


def test_a_start_whose_request_a_process_holds_needs_no_look() -> None:
    found = planned(starting_since(NOW - 45, HELD), HELD)
    assert found
    assert found.look_s == 0


def test_a_line_of_a_batch_looks_at_no_start() -> None:
    state = replace(starting_since(NOW - 18), start_times=StartTimes(p50_s=60.0, p99_s=90.0, samples=(20.0,)))
    found = planned(state, turn=replace(TURN, is_deferrable=True))
    assert found
    assert found.look_s == 0


def test_the_first_turn_in_line_looks_earlier_for_an_instance_that_the_product_has_set() -> None:
    counted = replace(GPU, scaling=Scaling.COUNT)
    first, second = planned(starting_since(NOW), counted), planned(crowd(starting_since(NOW), before=1), counted)
    assert first
    assert second
    assert (first.delay_s, second.delay_s) == (52.0, 58.0)


def test_a_start_that_ends_with_its_holder_is_looked_at_now_and_then() -> None:
    found = planned(starting_since(NOW, HELD), HELD)
    assert found
    assert found.delay_s == LONGEST_TRUST_S


def test_a_backend_that_never_sleeps_is_never_waited_for() -> None:
    steady = backend("steady")
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500)
    (found,) = route(demand, fleet(steady), {}, NOW).candidates
    assert wait_for(found, crowd(initial_state(steady), running=9, before=9), steady, TURN, now=NOW) is None
    assert hold_for(found, initial_state(steady), steady, TURN, now=NOW) is None


@pytest.mark.parametrize(
    ("running", "before", "after", "goes"),
    [(3, 0, 0, True), (4, 0, 0, False), (3, 1, 0, False), (2, 1, 9, True), (0, 4, 0, False), (0, 3, 5, True)],
)
def test_the_turn_admitted_first_goes_first(running: int, before: int, after: int, *, goes: bool) -> None:
    assert (planned(crowd(up(), running=running, before=before, after=after)) is None) is goes


def test_a_queue_is_waited_for_as_long_as_it_has_been_seen_to_take() -> None:
    found = planned(crowd(serving_in(3.0), running=4, before=4))
    assert found
    assert found.delay_s == 6.0
    assert found.kept_until == NOW + 6.0 + KEEP_S
    assert "4 turns queued before this one" in found.reason


def test_a_request_is_held_for_its_reading_too_where_the_backend_is_up() -> None:
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500)
    (cold,) = route(demand, fleet(GPU), {}, NOW).candidates
    assert hold_for(cold, initial_state(GPU), GPU, TURN, now=NOW) == 10
    (warm,) = route(demand, fleet(GPU), {"gpu": up()}, NOW).candidates
    assert hold_for(warm, up(), GPU, TURN, now=NOW) == 14


@given(
    since_s=st.floats(min_value=0, max_value=170),
    running=st.integers(0, 9),
    before=st.integers(0, 60),
    service_s=st.none() | st.floats(min_value=0.01, max_value=600),
)
def test_no_look_is_hasty_and_none_is_further_off_than_start_and_queue(
    since_s: float, running: int, before: int, service_s: float | None
) -> None:
    starting = starting_since(NOW - since_s)
    busy = replace(starting, speed=replace(starting.speed, service_s=service_s))
    state = crowd(busy, running=running, before=before)
    found = planned(state)
    if found:
        assert LEAST_LOOK_S <= found.delay_s <= state.remaining_start_s(NOW)[0] + LONGEST_QUEUE_S + 0.001
        assert found.kept_until > NOW + found.delay_s
    else:
        assert state.remaining_start_s(NOW)[0] <= TURN.hold_s
        assert before + running < GPU.limits.concurrency

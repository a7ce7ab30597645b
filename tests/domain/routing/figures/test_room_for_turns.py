"""How much may a turn read, write and wait for, to the token and the second?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import Backend, ContinuationMode
from domain.fleet.load import Load
from domain.routing.answer_lengths import AnswerLength, CachedPrefix
from domain.routing.candidates import Candidate
from domain.routing.costs import estimate
from domain.routing.estimates import Demand, Estimate, Readiness, RoutingOption
from domain.routing.queueing import KEEP_S, QueuedTurn, room_for, wait_for
from domain.routing.work.durations import cached_tokens, durations, late_s, writable
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, SMALL, backend, limits

NOW = 1_000_000.0
STEADY = backend("steady")
TURN = QueuedTurn(response="resp_a", input_tokens=500, admitted_at=NOW, hold_s=10.0)
LATER = replace(TURN, is_deferrable=True)


def demand(**changes: Any) -> Demand:
    fields: dict[str, Any] = {"input_tokens": 500, "output_tokens": 500, "attempt_limits": ATTEMPT_LIMITS}
    return Demand(**(fields | changes))


def option(of: Backend, **changes: Any) -> RoutingOption:
    return replace(RoutingOption(of, SMALL, of.price, initial_state(of), NOW), **changes)


@pytest.mark.parametrize(
    ("expected", "most", "answer"), [(None, 500, 500), (499, 500, 499), (500, 500, 500), (501, 500, 500)]
)
def test_an_answer_is_expected_to_be_as_long_as_it_may_be_at_most(expected: int | None, most: int, answer: int) -> None:
    assert demand(expected_output_tokens=expected).expected_answer("small", most) == (answer, answer)


def test_a_learned_length_is_expected_within_what_may_be_written() -> None:
    asked = demand(answers={"small": AnswerLength(100, 300)})
    assert [asked.expected_answer("small", most) for most in (50, 200, 400)] == [(50, 50), (100, 200), (100, 300)]


@pytest.mark.parametrize(("high", "reserved"), [(300, 500), (700, 700)])
def test_the_first_reservation_is_no_less_than_the_least_and_the_learned_length(high: int, reserved: int) -> None:
    asked = demand(answers={"small": AnswerLength(100, high)})
    assert asked.first_reservation("small") == reserved
    assert asked.first_reservation("large") == 500


@pytest.mark.parametrize(("ceiling", "most"), [(None, 500), (400, 500), (900, 900)])
def test_the_worst_case_reads_the_ceiling_and_never_less_than_is_likely(ceiling: int | None, most: int) -> None:
    assert demand(ceiling_input_tokens=ceiling).most_input_tokens == most


def test_the_smaller_window_of_model_and_backend_counts() -> None:
    assert SMALL.context_tokens == 8192
    for tokens, window in ((4096, 4096), (16384, 8192)):
        assert option(backend("one", bounds=limits(context_tokens=tokens))).window == window


def test_work_is_reading_and_writing_at_their_own_speed() -> None:
    one = option(STEADY)
    assert (one.work_s(2000, 0), one.work_s(0, 100), one.work_s(2000, 100)) == (2.0, 2.0, 4.0)
    found = durations(one, demand(input_tokens=2000, output_tokens=100))
    assert (found.busy_s, found.seconds, found.worst_s) == (4.0, 4.0, 30.0)
    assert durations(one, demand(input_tokens=2000, output_tokens=1000)).worst_s == 44.0


def test_nobody_waits_at_an_idle_backend() -> None:
    assert option(STEADY).waiting(demand(response="resp_a")) == 0
    assert estimate(option(STEADY), demand()).queue_s == 0.0
    zero = Estimate(1.0, 1.0, 0.0, 1.0, Decimal(1), Decimal(1), 1, "a test")
    assert (zero.long_seconds, zero.queue_s) == (0.0, 0.0)


@pytest.mark.parametrize(("known", "cached"), [(300, 300), (700, 500)])
def test_no_more_than_the_input_is_in_the_cache(known: int, cached: int) -> None:
    asked = demand(cached=CachedPrefix(backend="steady", tokens=known))
    assert cached_tokens(option(STEADY), asked, 500) == cached
    assert cached_tokens(option(STEADY, readiness=Readiness.STARTING), asked, 500) == 0
    assert cached_tokens(option(backend("other")), asked, 500) == 0


@pytest.mark.parametrize(("deadline_s", "late"), [(20.0, 10.0), (30.0, 0.0), (40.0, 0.0)])
def test_a_start_is_late_by_what_exceeds_the_deadline(deadline_s: float, late: float) -> None:
    starting = option(backend("gpu", cold=SERVERLESS), readiness=Readiness.STARTING, slow_remaining_start_s=20.0)
    assert late_s(starting, demand(deadline_s=deadline_s), 10.0) == late


@pytest.mark.parametrize(
    ("continues", "bounds", "tokens"),
    [
        (ContinuationMode.ASSISTANT_PREFILL, limits(), 4096),
        (ContinuationMode.ASSISTANT_PREFILL, limits(context_tokens=2500), 2000),
        (ContinuationMode.ASSISTANT_PREFILL, limits(max_output_tokens=600), 600),
        (ContinuationMode.ASSISTANT_PREFILL, limits(max_output_tokens=400), 400),
        (ContinuationMode.NO, limits(request_timeout_s=100.5), 2500),
        (ContinuationMode.NO, limits(request_timeout_s=10.5), 250),
    ],
)
def test_an_answer_without_a_limit_is_written_as_far_as_there_is_room_and_time(
    continues: ContinuationMode, bounds: Any, tokens: int
) -> None:
    one = option(replace(backend("one", bounds=bounds), continues=continues))
    asked = demand(is_open_ended=True, answers={"small": AnswerLength(1000, 4096)})
    assert writable(one, asked) == tokens


@pytest.mark.parametrize(("concurrency", "room"), [(1, 1), (2, 1), (4, 3), (5, 3), (8, 6), (9, 6), (16, 12)])
def test_deferrable_turns_leave_a_quarter_of_the_places_free_and_take_one_at_least(concurrency: int, room: int) -> None:
    assert (room_for(LATER, concurrency), room_for(TURN, concurrency)) == (room, concurrency)


def test_a_deferrable_turn_comes_after_all_others() -> None:
    assert TURN.place == NOW
    assert LATER.place == NOW + 1e9


def test_a_place_in_the_queue_is_kept_beyond_the_next_check() -> None:
    gpu = backend("gpu", cold=SERVERLESS)
    load = Load(in_flight={f"a{number}": NOW + 60 for number in range(gpu.limits.concurrency)}, queue_places={})
    state = replace(initial_state(gpu), load=load)
    found = Candidate("gpu", estimate(option(gpu), demand()), {}, estimate(option(gpu), demand()).cost)
    waits = wait_for(found, state, gpu, TURN, now=NOW)
    assert waits is not None
    assert KEEP_S == 30.0
    assert waits.kept_until == pytest.approx(NOW + waits.delay_s + 30.0, abs=0.001)
    assert waits.cause == "room"

"""Is each figure of an estimate the one that its parts add up to?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import Backend, ContinuationMode
from domain.fleet.load import Load
from domain.log.capped_answers import CappedAnswer
from domain.money.costing import marginal_cost, time_cost, token_cost, worst_token_cost
from domain.money.sessions.transitions import joint_worst_case
from domain.routing.answer_lengths import AnswerLength, CachedPrefix
from domain.routing.costs import estimate, expected_cost, expiry, warm_up_cost, worst_cost
from domain.routing.estimates import LEAST_WORST_S, SLOW, Demand, Estimate, Readiness, RoutingOption
from domain.routing.work.durations import cached_tokens, writable
from domain.tokens.counts import CountedBy, TokenCount
from domain.tokens.estimates import TokenEstimate
from tests.domain.fleets import API, ATTEMPT_LIMITS, SERVERLESS, SMALL, backend, limits
from tests.domain.fleets import GPU as PRICE

NOW = 1_000_000.0


def demand(**changes: Any) -> Demand:
    usual: dict[str, Any] = {"input_tokens": 2000, "output_tokens": 500, "attempt_limits": ATTEMPT_LIMITS}
    return Demand(**(usual | changes))


def option(of: Backend, **changes: Any) -> RoutingOption:
    return replace(RoutingOption(of, SMALL, of.price, initial_state(of), NOW), **changes)


def test_the_figures_behind_each_estimate() -> None:
    assert (SLOW, LEAST_WORST_S) == (2.0, 30.0)
    assert demand() == demand(is_open_ended=False, request_bytes=0)
    assert Estimate(1.0, 1.0, 0.0, 1.0, Decimal(0), Decimal(0), 1, "").long_seconds == 0.0


def test_a_warm_backend_reads_a_thousand_and_writes_fifty_tokens_a_second() -> None:
    found = estimate(option(backend("a", price="api")), demand(expected_input_tokens=1500, expected_output_tokens=100))
    assert (found.busy_s, found.seconds, found.long_seconds) == (3.5, 3.5, 3.5)
    assert found.worst_s == LEAST_WORST_S
    assert found.cost == token_cost(API, fresh=1500, cached=0, output=100, requests=1)
    assert found.worst_cost == worst_token_cost(API, input_tokens=2000, output=500)
    assert (found.output_tokens, found.why_cost, found.late_s) == (500, "its tokens", 0.0)


def test_the_worst_case_of_a_long_attempt_is_twice_its_work() -> None:
    assert estimate(option(backend("a")), demand(output_tokens=1000)).worst_s == 2 * (2 + 20)


def test_the_worst_case_of_a_start_adds_the_hold_and_ends_with_the_request() -> None:
    cold = option(backend("a", cold=SERVERLESS), readiness=Readiness.COLD)
    assert estimate(cold, demand()).worst_s == LEAST_WORST_S + ATTEMPT_LIMITS.hold_s
    hasty = option(backend("a", bounds=limits(request_timeout_s=12)))
    assert estimate(hasty, demand()).worst_s == 12


def test_a_start_and_a_long_answer_count_in_the_seconds() -> None:
    known = {"small": AnswerLength(mean=100, high=400)}
    starting = option(backend("a", cold=SERVERLESS), readiness=Readiness.STARTING, remaining_start_s=7.0)
    found = estimate(starting, demand(answers=known))
    assert (found.busy_s, found.seconds, found.long_seconds) == (4.0, 11.0, 17.0)


def test_a_slow_start_and_a_long_answer_may_pass_the_deadline() -> None:
    known = {"small": AnswerLength(mean=100, high=400)}
    slow = option(backend("a", cold=SERVERLESS), readiness=Readiness.COLD, slow_remaining_start_s=20.0)
    assert estimate(slow, demand(answers=known, deadline_s=25.0)).late_s == 5.0
    assert estimate(slow, demand(answers=known, deadline_s=30.0)).late_s == 0.0


@pytest.mark.parametrize(
    ("most", "expected"),
    [(500, AnswerLength(100, 400)), (300, AnswerLength(100, 300)), (50, AnswerLength(50, 50))],
)
def test_a_learned_length_is_cut_at_what_may_be_written(most: int, expected: AnswerLength) -> None:
    known = demand(answers={"small": AnswerLength(100, 400)}, expected_output_tokens=9)
    assert known.expected_answer("small", most) == expected


@pytest.mark.parametrize(("guess", "most", "expected"), [(None, 500, 500), (100, 500, 100), (900, 500, 500)])
def test_an_unknown_length_is_the_guess_or_all(guess: int | None, most: int, expected: int) -> None:
    assert demand(expected_output_tokens=guess).expected_answer("small", most) == AnswerLength(expected, expected)


def test_the_first_reservation_is_that_of_long_answers() -> None:
    known = {"small": AnswerLength(100, 900), "large": AnswerLength(10, 20)}
    reserved = [demand(answers=known).first_reservation(model) for model in ("small", "large", "other")]
    assert reserved == [900, 500, 500]


def test_a_backend_that_continues_reads_what_was_written() -> None:
    capped = demand(
        capped=CappedAnswer("a", written=70), expected_input_tokens=1800, ceiling_input_tokens=4000, output_tokens=1
    )
    found = capped.read_by(backend("a"))
    assert (found.input_tokens, found.expected_input_tokens, found.ceiling_input_tokens) == (2070, 1870, 4070)
    afresh = backend("a", continues=ContinuationMode.NO)
    assert capped.read_by(afresh) == capped
    assert demand().read_by(backend("a")) == demand()
    plain = demand(capped=CappedAnswer("a", written=70)).read_by(backend("a"))
    assert (plain.input_tokens, plain.expected_input_tokens, plain.ceiling_input_tokens) == (2070, None, None)


def test_a_count_for_the_model_replaces_the_three_figures() -> None:
    count = TokenCount(tokens=TokenEstimate(expected=11, likely=12, ceiling=13), counted_by=CountedBy.ESTIMATE)
    found = demand(counts={"small": count}).for_model("small")
    assert (found.expected_input_tokens, found.input_tokens, found.ceiling_input_tokens) == (11, 12, 13)
    assert demand(counts={"small": count}).for_model("other").input_tokens == 2000


def test_the_window_holds_input_and_output_and_the_ceiling_is_never_less_than_the_input() -> None:
    assert demand().window_tokens == 2500
    assert [demand(ceiling_input_tokens=most).most_input_tokens for most in (None, 1, 3000)] == [2000, 2000, 3000]
    assert demand(input_tokens=0, ceiling_input_tokens=None).most_input_tokens == 0


def test_the_window_is_the_smaller_one_of_backend_and_model() -> None:
    assert option(backend("a", bounds=limits(context_tokens=100))).window == 100
    assert option(backend("a", bounds=limits(context_tokens=10**6))).window == SMALL.context_tokens


def test_only_a_backend_that_is_up_has_a_prompt_cache() -> None:
    one, cached = option(backend("a")), demand(cached=CachedPrefix("a", 900))
    assert [cached_tokens(one, cached, size) for size in (2000, 900, 400)] == [900, 900, 400]
    assert cached_tokens(one, demand(), 2000) == 0
    assert cached_tokens(option(backend("b")), cached, 2000) == 0
    assert cached_tokens(replace(one, readiness=Readiness.COLD), cached, 2000) == 0
    found = estimate(option(backend("a", price="api")), replace(cached, expected_output_tokens=100))
    assert found.busy_s == pytest.approx(1.1 + 2.0)
    assert found.cost == token_cost(API, fresh=1100, cached=900, output=100, requests=1)


def test_an_open_answer_reserves_what_fits_and_nothing_where_too_little_does() -> None:
    def room(**changes: Any) -> int:
        return writable(option(backend("a")), demand(is_open_ended=True, **changes))

    assert room() == 500
    assert room(output_tokens=5000) == 4096
    assert room(output_tokens=5000, input_tokens=8000) == 192
    assert room(capped=CappedAnswer("a", written=100, tried=3000)) == 4096
    assert room(capped=CappedAnswer("a", written=100, tried=4095)) == 4096
    assert room(capped=CappedAnswer("a", written=100, tried=4096)) == 0


def test_an_attempt_that_cannot_continue_writes_at_half_the_speed_until_its_handover() -> None:
    afresh = option(backend("a", continues=ContinuationMode.NO))
    assert writable(afresh, demand(output_tokens=10**6)) == int((480 - 2) * 50 / SLOW)
    assert writable(replace(afresh, remaining_start_s=4.0), demand(output_tokens=10**6)) == ((480 - 4 - 2) * 25)
    assert writable(replace(afresh, remaining_start_s=99.0), demand(output_tokens=10**6)) == ((480 - 10 - 2) * 25)
    brief = option(backend("a", continues=ContinuationMode.NO, bounds=limits(request_timeout_s=3)))
    assert writable(brief, demand(output_tokens=10**6)) == 25
    assert writable(brief, demand(output_tokens=10**6, input_tokens=5000)) == 0


def test_a_cold_machine_costs_its_start_its_work_and_its_idle_period() -> None:
    cold = option(backend("a", cold=SERVERLESS), readiness=Readiness.COLD)
    assert expected_cost(cold, PRICE, 10.0, 70.0)[0] == warm_up_cost(PRICE, 60.0, 10.0)
    assert warm_up_cost(PRICE, 60.0, 10.0) == time_cost(PRICE, 60 + 10 + 600)
    assert warm_up_cost(replace(PRICE, bills_cold=False), 60.0, 10.0) == time_cost(PRICE, 610)
    assert warm_up_cost(replace(PRICE, minimum_s=1000), 60.0, 10.0) == time_cost(PRICE, 1000)
    assert worst_cost(cold, PRICE, 10.0, 5.0) == joint_worst_case(PRICE, seconds=120.0 + 10.0)


def test_a_warm_machine_costs_what_its_life_is_longer() -> None:
    warm = option(backend("a", cold=SERVERLESS), warm_until=NOW + 300.0)
    assert expiry(warm, PRICE) == NOW + 300.0
    assert expected_cost(warm, PRICE, 10.0, 12.0)[0] == marginal_cost(PRICE, end=NOW + 12.0, expiry=NOW + 300.0)
    starting = replace(warm, readiness=Readiness.STARTING, remaining_start_s=8.0)
    assert expiry(starting, PRICE) == NOW + 8.0 + 600
    assert expiry(replace(warm, warm_until=None, remaining_start_s=3.0), PRICE) == NOW + 3.0 + 600
    most = marginal_cost(PRICE, end=NOW + 8.0 + 5.0 + 10.0, expiry=NOW + 608.0)
    assert worst_cost(starting, PRICE, 10.0, 5.0) == max(time_cost(PRICE, 10.0), most)


def test_a_turn_beside_others_adds_only_the_time_after_them() -> None:
    """The machine stays up for the others: waiting for them in line adds nothing to its bill."""
    gpu = backend("gpu", cold=SERVERLESS)
    found = [estimate(beside(gpu, number), demand(output_tokens=100)) for number in (0, 1, gpu.limits.concurrency)]
    work_s = found[0].busy_s
    assert found[0].cost == marginal_cost(PRICE, end=NOW + work_s, expiry=NOW + 1)
    assert found[1].cost == found[2].cost == time_cost(PRICE, work_s)
    assert [each.queue_s for each in found] == [0.0, 0.0, work_s]


def beside(gpu: Backend, attempts: int) -> RoutingOption:
    """Return a GPU whose idle period is over in a second, with attempts that run there."""
    load = Load(in_flight={f"attempt {number}": NOW + 60 for number in range(attempts)})
    return option(gpu, backend_state=replace(initial_state(gpu), load=load), warm_until=NOW + 1)

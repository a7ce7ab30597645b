"""Is the length of an answer expected from the caller's own answers?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.routing.answer_lengths import (
    CACHE_S,
    KEPT,
    MOST_THREADS,
    AnswerLength,
    AnswerLengths,
    CachedPrefix,
    forecast,
    length_of,
)
from domain.routing.costs import estimate
from domain.routing.estimates import Demand
from domain.routing.router import options, route
from tests.domain.fleets import ATTEMPT_LIMITS, backend, fleet, limits

NOW = 1_000_000.0
API = backend("api", model="large", price="api", bounds=limits(context_tokens=131072), decode_tokens_s=500)
OWN = backend("own", decode_tokens_s=100)


def learned(*tokens: int, thread: str = "") -> AnswerLengths:
    known = AnswerLengths()
    for each in tokens:
        known = known.with_answer("small", each, thread=thread)
    return known


def test_a_thread_is_expected_to_go_on_as_it_did_then_its_owner_then_the_tenant() -> None:
    thread, owner, tenant = (learned(*[tokens] * 3, thread="t") for tokens in (10, 100, 1000))
    assert forecast(thread, tenant, "t") == {"small": AnswerLength(10, 10)}
    assert forecast(owner, tenant, "another") == {"small": AnswerLength(100, 100)}
    assert forecast(learned(10, 10, thread="t"), tenant, "t") == {"small": AnswerLength(1000, 1000)}
    assert forecast(AnswerLengths(), learned(1, 2), "t") == {}


def test_old_answers_and_old_threads_are_forgotten() -> None:
    known = learned(*[5000] * KEPT, *[10] * KEPT)
    assert forecast(known, AnswerLengths(), "") == {"small": AnswerLength(10, 10)}
    for number in range(MOST_THREADS + 5):
        known = known.with_answer("small", 10, thread=f"thread {number}")
    assert list(known.threads) == [f"thread {number}" for number in range(5, MOST_THREADS + 5)]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=KEPT))
def test_the_mean_is_expected_and_all_but_few_answers_are_no_longer_than_the_high_quantile(
    tokens: list[int],
) -> None:
    found = length_of(tokens)
    assert found.mean == round(sum(tokens) / len(tokens))
    assert sum(each > found.high for each in tokens) <= 0.05 * len(tokens)
    assert min(tokens) <= found.mean


def demand(length: AnswerLength | None, deadline_s: float | None = None) -> Demand:
    return Demand(
        attempt_limits=ATTEMPT_LIMITS,
        input_tokens=500,
        output_tokens=4000,
        expected_output_tokens=211,
        answers={} if length is None else {"small": length, "large": length},
        deadline_s=deadline_s,
    )


def test_the_mean_gives_the_score_and_the_high_quantile_is_compared_with_the_deadline() -> None:
    (option,) = options(fleet(OWN), {}, NOW, spent={})
    assert estimate(option, demand(None)).busy_s == 0.5 + 211 / 100
    found = estimate(option, demand(AnswerLength(50, 1500)))
    assert (found.busy_s, found.long_seconds) == (1.0, 15.5)
    assert found.worst_cost == estimate(option, demand(None)).worst_cost


def test_a_caller_with_long_answers_gets_a_backend_that_meets_the_deadline() -> None:
    assert route(demand(None, 30), fleet(API, OWN), {}, NOW).backend == "own"
    found = route(demand(AnswerLength(1000, 4000), 30), fleet(API, OWN), {}, NOW)
    assert found.backend == "api"
    assert [each.reason for each in found.rejected] == ["the turn takes an estimated 40.5 s; 30.0 s are left"]


def test_what_a_backend_has_cached_of_a_thread_is_learned_from_its_calls() -> None:
    known = learned(10, thread="t").with_call("t", backend="api", tokens=1000, cached=0, at=NOW)
    assert known.calls["t"].cached(NOW) is None
    known = known.with_call("t", backend="api", tokens=2000, cached=800, at=NOW)
    assert known.calls["t"].cached(NOW + CACHE_S) == CachedPrefix("api", 1600)
    assert known.calls["t"].cached(NOW + CACHE_S + 1) is None
    assert AnswerLengths.from_document(known.to_document()).calls == known.calls
    moved = known.with_call("t", backend="own", tokens=2500, cached=2000, at=NOW)
    assert moved.calls["t"].cached(NOW) is None


def test_cached_input_counts_in_seconds_and_dollars_at_its_backend_alone() -> None:
    long = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=6000, output_tokens=500, expected_output_tokens=10)
    both = {each.backend: each for each in route(long, fleet(API, OWN), {}, NOW).candidates}
    again = replace(long, cached=CachedPrefix("api", 5000))
    cached = {each.backend: each for each in route(again, fleet(API, OWN), {}, NOW).candidates}
    assert cached["own"].found == both["own"].found
    assert both["api"].seconds - cached["api"].seconds == pytest.approx(5.0)
    assert both["api"].cost - cached["api"].cost == Decimal("0.30") * 5000 / 10**6
    assert cached["api"].worst_cost == both["api"].worst_cost

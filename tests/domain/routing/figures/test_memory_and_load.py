"""Do turns wait for the KV memory of a backend, and does the load that was learned count in their seconds?"""

from copy import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend
from domain.fleet.learned_speed import Observation
from domain.fleet.load import Load, QueuePlace
from domain.fleet.state_updates import after_success
from domain.fleet.warmth import Warmth
from domain.routing.answer_lengths import AnswerLength, CachedPrefix
from domain.routing.estimates import Demand
from domain.routing.queueing import QueuedTurn, QueueWait, turns_with_room, wait_for
from domain.routing.route_record import route_to_document
from domain.routing.router import RouteDecision, route
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet, limits

NOW = 1_000_000.0
TOKENS = 4800
BOUNDS = replace(limits(concurrency=64), kv_tokens=TOKENS)
GPU = backend("gpu", cold=SERVERLESS, bounds=BOUNDS)
BOX = backend("box", bounds=replace(BOUNDS, concurrency=2))
TURN = QueuedTurn(response="mine", input_tokens=400, admitted_at=NOW, hold_s=10)
ASKED: dict[str, Any] = {"attempt_limits": ATTEMPT_LIMITS, "input_tokens": 400, "output_tokens": 400}
CLAIM = 800


def up(
    *,
    running: int = 0,
    claim: int = CLAIM,
    before: tuple[int, ...] = (),
    after: tuple[int, ...] = (),
    of: Backend = GPU,
) -> BackendState:
    load = Load()
    for number in range(running):
        load = load.with_attempt(f"attempt_{number}", until=NOW + 60, now=NOW, claim=claim)
    for number, claimed in enumerate((*before, *after)):
        at = NOW - 10 + number if number < len(before) else NOW + 10
        load = load.with_place(f"resp_{number}", QueuePlace(at, NOW + 60, 1, claimed), now=NOW)
    return replace(initial_state(of), load=load, warmth=Warmth(warm_until=NOW + 500))


def decided(state: BackendState, of: Backend = GPU, **changes: Any) -> RouteDecision:
    return route(Demand(**{**ASKED, **changes}), fleet(of), {of.name: state}, NOW)


def waited(state: BackendState, of: Backend = GPU, turn: QueuedTurn = TURN, **changes: Any) -> QueueWait | None:
    (found,) = decided(state, of, **changes).candidates
    return wait_for(found, state, of, turn, now=NOW)


@pytest.mark.parametrize(("running", "waits"), [(0, False), (5, False), (6, True)])
def test_a_turn_waits_where_the_memory_is_claimed_and_places_are_free(running: int, *, waits: bool) -> None:
    found = waited(up(running=running))
    assert (found is not None) is waits
    if found:
        assert (found.cause, found.claim) == ("room", CLAIM)
        assert "out of KV memory: this turn needs 800 tokens and 0 are free, with 0 turns queued" in found.reason


def test_a_turn_claims_its_prompt_and_a_long_answer_and_not_less_for_a_cached_prefix() -> None:
    answers, cached = {"small": AnswerLength(100, 200)}, CachedPrefix(backend="gpu", tokens=300)
    (found,) = decided(up(), answers=answers, cached=cached).candidates
    assert found.found.claim == 608
    (unlimited,) = decided(up()).candidates
    assert unlimited.found.claim == CLAIM


def test_a_small_turn_waits_behind_a_large_one_that_has_no_memory() -> None:
    assert waited(up(running=4, before=(3200,))) is not None
    assert waited(up(running=4, after=(3200,))) is None


def test_the_expected_wait_grows_with_what_has_to_end() -> None:
    waits = [decided(up(running=6, before=(CLAIM,) * ahead)).candidates[0].found.queue_s for ahead in range(9)]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(decided(up()).candidates[0].busy_s / 6)


def test_a_backend_that_is_always_on_waits_for_its_memory_and_not_for_its_places() -> None:
    plain = replace(BOX, limits=replace(BOX.limits, kv_tokens=None))
    assert waited(up(running=6, of=plain), plain) is None
    assert waited(up(running=5, of=BOX), BOX) is None
    assert waited(up(running=6, of=BOX), BOX) is not None
    in_line = up(running=5, before=(CLAIM, CLAIM), of=BOX)
    assert list(turns_with_room(in_line, BOX, now=NOW)) == ["resp_0"]


def test_memory_that_was_promised_to_another_turn_is_not_free() -> None:
    assert waited(up(running=5)) is None
    assert waited(up(running=5), turn=replace(TURN, promised=(16,))) is not None


def test_a_line_of_a_batch_leaves_a_quarter_of_the_memory_free() -> None:
    later = replace(TURN, is_deferrable=True)
    assert waited(up(running=3), turn=later) is None
    assert waited(up(running=4), turn=later) is not None
    assert waited(up(), turn=later, input_tokens=4000) is None


@pytest.mark.parametrize(("prompt", "code"), [(4400, None), (4401, "memory")])
def test_a_turn_that_no_instance_can_hold_is_refused_with_the_figures(prompt: int, code: str | None) -> None:
    found = decided(up(), input_tokens=prompt)
    assert [each.code for each in found.rejected] == ([code] if code else [])
    assert code is None or found.rejected[0].reason == "the turn needs 4,816 tokens of KV memory; an instance has 4,800"


@given(
    running=st.integers(0, 8),
    claim=st.sampled_from([16, 320, CLAIM]),
    before=st.lists(st.sampled_from([16, 320, CLAIM, 3200]), max_size=4),
    after=st.lists(st.sampled_from([16, 3200]), max_size=3),
)
def test_what_wakes_a_turn_lets_it_call(running: int, claim: int, before: list[int], after: list[int]) -> None:
    crowded = up(running=running, claim=claim, before=tuple(before), after=tuple(after))
    place = QueuePlace(TURN.admitted_at, NOW + 60, 3, CLAIM)
    state = replace(crowded, load=crowded.load.with_place("mine", place, now=NOW))
    woken = turns_with_room(state, GPU, now=NOW)
    assert ("mine" in woken) is (waited(state) is None)
    assert running * claim + sum(each.claim for each in woken.values()) <= max(TOKENS, running * claim)
    assert list(woken) == sorted(woken, key=lambda name: (state.load.queue_places[name].admitted_at, name))


def answered(*, tokens_s: float, beside: int, attempt: str = "attempt_0") -> Observation:
    return Observation(
        attempt=attempt,
        started_at=NOW - 5,
        first_token_at=NOW - 4,
        ended_at=NOW - 4 + 400 / tokens_s,
        input_tokens=400,
        output_tokens=401,
        beside=beside,
    )


def test_a_turn_beside_others_is_expected_to_be_written_as_slowly_as_was_seen() -> None:
    state = up(running=6)
    for _ in range(40):
        state = after_success(state, answered(tokens_s=20, beside=5, attempt="gone"), GPU)
    for _ in range(40):
        state = after_success(replace(state, load=Load()), answered(tokens_s=50, beside=0, attempt="gone"), GPU)
    alone, beside = decided(state), decided(replace(state, load=up(running=4).load))
    assert alone.candidates[0].busy_s == pytest.approx(1 + 400 / 50, rel=0.01)
    assert beside.candidates[0].busy_s == pytest.approx(1 + 400 / 20, rel=0.01)
    assert beside.candidates[0].seconds > alone.candidates[0].seconds


def test_the_load_at_the_beginning_and_at_the_end_are_averaged() -> None:
    state = after_success(up(running=7), answered(tokens_s=30, beside=0), GPU)
    assert [level for level, _ in state.speed.by_load] == [2]


def test_of_several_instances_the_load_of_one_counts() -> None:
    grown = replace(GPU, max_instances=3, limits=replace(BOUNDS, concurrency=2))
    state = after_success(up(running=6, of=grown), answered(tokens_s=30, beside=5), grown)
    assert [level for level, _ in state.speed.by_load] == [1]


def test_the_route_record_shows_the_memory_and_the_speed_beside_others() -> None:
    plain = replace(GPU, limits=limits())
    (shown,) = route_to_document(decided(initial_state(plain), plain))["candidates"]
    assert {"kv_memory", "decode_tokens_s"}.isdisjoint(shown)
    state = after_success(up(running=3), answered(tokens_s=30, beside=2), GPU)
    (shown,) = route_to_document(decided(state))["candidates"]
    assert shown["kv_memory"] == {"tokens": TOKENS, "claimed": 2 * CLAIM, "claim": CLAIM}
    assert shown["decode_tokens_s"] == 46.0

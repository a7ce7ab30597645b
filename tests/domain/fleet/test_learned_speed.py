"""Does a backend's speed follow what its answers show, and never rise with its load?"""

from copy import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.learned_speed import LEAST_OUTPUT, LearnedSpeed, Observation, falling, level_of, most_at, speed_at
from tests.checks import every

SPEED = LearnedSpeed(prefill_tokens_s=1000, decode_tokens_s=50)


def seen(**changes: Any) -> Observation:
    """Return an answer that is read at 1000 tokens a second and written at 50, as the speed is known."""
    usual = Observation(
        attempt="a", started_at=100.0, first_token_at=101.0, ended_at=111.0, input_tokens=1000, output_tokens=501
    )
    return replace(usual, **changes)


def answered(*, tokens_s: float) -> Observation:
    return seen(started_at=95.0, first_token_at=96.0, ended_at=96 + 400 / tokens_s, input_tokens=400, output_tokens=401)


@given(
    st.lists(st.tuples(st.integers(1, 70), st.floats(1, 500)), max_size=30),
    st.floats(5, 200),
)
def test_the_learned_speed_never_rises_with_the_load(seen: list[tuple[int, float]], first: float) -> None:
    speed = LearnedSpeed(prefill_tokens_s=1000, decode_tokens_s=first)
    for running, tokens_s in seen:
        speed = speed.after(answered(tokens_s=tokens_s), running=running)
    found = [speed.decode_at(running) for running in range(1, 100)]
    assert found == sorted(found, reverse=True)
    assert LearnedSpeed.from_document(speed.to_document()) == speed
    assert every(0 < each <= max(first, *(tokens_s for _, tokens_s in seen), 1) * 1.001 for each in found)


def test_a_load_that_was_not_seen_has_the_average_between_its_neighbours() -> None:
    speed = LearnedSpeed(prefill_tokens_s=1000, decode_tokens_s=30, by_load=((0, 60.0), (3, 20.0)))
    assert [speed.decode_at(running) for running in (1, 2, 4, 5, 8, 9, 64)] == [60, 30, 30, 20, 20, 20, 20]
    slow = replace(speed, decode_tokens_s=10)
    assert [slow.decode_at(running) for running in (1, 2, 8, 9)] == [60, 20, 20, 10]


def test_a_start_and_what_was_cached_count_for_nothing() -> None:
    after = SPEED.after(seen(first_token_at=131.0, ended_at=141.0, cold_s=30.0))
    assert (after.prefill_tokens_s, after.decode_tokens_s, after.service_s) == (1000, 50, 11.0)
    cached = SPEED.after(seen(cached_tokens=900))
    assert cached.prefill_tokens_s == 1000, "the 100 tokens that were read are too few to learn from"


@pytest.mark.parametrize(
    "changes", [{"output_tokens": LEAST_OUTPUT}, {"ended_at": 101.0}, {"ended_at": 100.5}, {"output_tokens": 0}]
)
def test_an_answer_that_is_short_or_has_no_length_teaches_no_speed_of_writing(changes: dict[str, Any]) -> None:
    after = SPEED.after(seen(**changes), running=3)
    assert (after.decode_tokens_s, after.by_load) == (50, ())


def test_the_time_of_a_request_is_learned_a_fifth_of_the_way() -> None:
    first = SPEED.after(seen())
    assert first.service_s == 11.0
    assert first.after(seen(ended_at=121.0)).service_s == 11.0 + 0.2 * 10


def test_loads_double_from_level_to_level() -> None:
    assert [level_of(running) for running in (0, 1, 2, 3, 4, 5, 8, 9, 64, 65)] == [0, 0, 1, 2, 2, 3, 3, 4, 6, 7]
    assert every(level_of(most_at(level)) == level for level in range(10))
    assert every(level_of(most_at(level) + 1) == level + 1 for level in range(10))


def test_speeds_that_rise_are_averaged_as_by_the_pool_adjacent_violators() -> None:
    """The first example is R's `isoreg` of 1, 0, 4, 3, 3, 5, 4, 2, 0, with the order turned round."""
    speeds = dict(enumerate([0.0, 2.0, 4.0, 5.0, 3.0, 3.0, 4.0, 0.0, 1.0]))
    assert [speed for _, speed in falling(speeds)] == [3.0] * 7 + [0.5] * 2
    assert falling({3: 5.0, 0: 9.0}) == ((0, 9.0), (3, 5.0))
    assert falling({}) == ()


def test_a_level_beyond_those_that_were_seen_is_no_faster_than_the_last() -> None:
    assert speed_at(((0, 60.0),), 5, otherwise=80.0) == 60.0
    assert speed_at(((0, 60.0),), 5, otherwise=10.0) == 10.0
    assert speed_at(((3, 20.0),), 0, otherwise=10.0) == 20.0

"""How much output does an attempt reserve where the caller sets no limit?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, ContinuationMode
from domain.log.capped_answers import CappedAnswer, CutAnswer
from domain.routing.answer_lengths import AnswerLength
from domain.routing.estimates import Demand
from domain.routing.reservations import OutputReservation, next_reservation
from domain.routing.router import RouteDecision, route
from tests.domain.fleets import ATTEMPT_LIMITS, backend, fleet, limits

DEFAULT = 1000
INPUT = 500
MAIN = backend("main", price="api", bounds=limits(context_tokens=8192, max_output_tokens=8192))
AFRESH = backend("afresh", price="api", continues=ContinuationMode.NO, bounds=limits(max_output_tokens=8192))


def decide(*backends: Backend, states: dict[str, BackendState] | None = None, **changes: Any) -> RouteDecision:
    fields: dict[str, Any] = {
        "input_tokens": INPUT,
        "output_tokens": DEFAULT,
        "is_open_ended": True,
        "attempt_limits": ATTEMPT_LIMITS,
        **changes,
    }
    return route(Demand(**fields), fleet(*backends), states or {}, 1_000_000.0)


def reserved(*backends: Backend, **changes: Any) -> int:
    chosen = decide(*backends, **changes).chosen
    assert chosen
    return chosen.output_tokens


@pytest.mark.parametrize(
    ("capped", "continues", "expected"),
    [
        (None, True, (1, 100)),
        (CappedAnswer("main", 40), True, (1, 100)),
        (CappedAnswer("main", 300), True, (1, 300)),
        (CappedAnswer("main", 300), False, (301, 600)),
        (CappedAnswer("main", 0, tried=100), True, (101, 400)),
        (CappedAnswer("main", 0, tried=10), False, (11, 100)),
    ],
)
def test_an_answer_grows_by_as_much_as_it_has_and_a_cut_part_is_asked_with_four_times_the_room(
    capped: CappedAnswer | None,
    continues: bool,  # noqa: FBT001
    expected: tuple[int, int],
) -> None:
    assert next_reservation(100, capped, continues=continues) == OutputReservation(*expected)


@pytest.mark.parametrize(("high", "expected"), [(10, DEFAULT), (DEFAULT + 1, DEFAULT + 1), (50_000, 8192 - INPUT)])
def test_the_first_attempt_reserves_a_long_answer_at_least_the_default_and_at_most_the_window(
    high: int, expected: int
) -> None:
    assert reserved(MAIN, answers={"small": AnswerLength(5, high)}) == expected


def test_a_limit_of_the_caller_is_reserved_as_it_is() -> None:
    answers = {"small": AnswerLength(5, 3000)}
    assert reserved(MAIN, answers=answers, is_open_ended=False, output_tokens=2000) == 2000


def test_the_window_counts_the_default_and_not_the_learned_length() -> None:
    answers = {"small": AnswerLength(5, 7000)}
    assert reserved(MAIN, answers=answers, input_tokens=8192 - DEFAULT) == DEFAULT
    [rejected] = decide(MAIN, answers=answers, input_tokens=8192 - DEFAULT + 1).rejected
    assert rejected.code == "window"


def test_a_backend_that_writes_less_than_the_default_serves_what_has_no_limit() -> None:
    short = replace(MAIN, limits=limits(max_output_tokens=300))
    assert reserved(short) == 300
    [rejected] = decide(short, is_open_ended=False).rejected
    assert rejected.code == "output"


def test_the_next_attempt_pays_for_the_text_that_it_reads_again() -> None:
    capped = CappedAnswer("main", 2000)
    chosen = decide(MAIN, capped=capped, ceiling_input_tokens=INPUT).chosen
    assert chosen
    assert chosen.output_tokens == 2000
    price = Decimal("0.40") * (INPUT + 2000) + Decimal("1.60") * 2000
    assert chosen.worst_cost == price / 1_000_000


def test_the_backend_of_an_answer_continues_it_though_another_one_is_cheaper() -> None:
    cheap = backend("cheap", model="large", bounds=limits(context_tokens=131072, max_output_tokens=8192))
    before = decide(MAIN, cheap)
    written_by = next(each.backend for each in before.candidates if each.backend != before.backend)
    after = decide(MAIN, cheap, capped=CappedAnswer(written_by, 1000))
    assert after.backend == written_by
    assert after.reason.endswith("; it has written the answer so far")


def test_an_answer_moves_on_where_its_backend_is_out() -> None:
    state = initial_state(MAIN)
    out = replace(state, health=replace(state.health, errors=3, circuit_open_until=2_000_000.0))
    found = decide(MAIN, AFRESH, states={"main": out}, capped=CappedAnswer("main", 1500))
    assert found.backend == "afresh"
    assert found.chosen
    assert found.chosen.output_tokens == 3000


@pytest.mark.parametrize("capped", [CappedAnswer("main", 8192 - INPUT), CappedAnswer("main", 0, tried=8192 - INPUT)])
def test_an_answer_that_fills_the_window_has_no_room_for_more(capped: CappedAnswer) -> None:
    found = decide(MAIN, capped=capped)
    assert found.backend is None
    [rejected] = found.rejected
    assert rejected.code == "room"
    assert rejected.retry_in_s is None


def test_an_answer_goes_on_until_its_deadline_whatever_time_its_end_may_take() -> None:
    assert decide(MAIN, deadline_s=1.0).backend is None
    assert decide(MAIN, deadline_s=1.0, capped=CappedAnswer("main", 1000)).backend == "main"


def cut(**changes: Any) -> CutAnswer:
    fields: dict[str, Any] = {
        "backend": "main",
        "reserved": 100,
        "shown": 90,
        "has_text": True,
        "is_calling": False,
        "is_json": False,
        "continues": True,
        **changes,
    }
    return CutAnswer(**fields)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (cut(), CappedAnswer("main", 90)),
        (cut(continues=False), None),
        (cut(is_calling=True), CappedAnswer("main", 90, tried=100)),
        (cut(is_calling=True, continues=False), CappedAnswer("main", 0, tried=100)),
        (cut(is_json=True), CappedAnswer("main", 0, tried=100)),
        (cut(is_json=True, has_text=False, continues=False), CappedAnswer("main", 0, tried=100)),
        (cut(has_text=False), CappedAnswer("main", 0, tried=100)),
    ],
)
def test_a_text_is_continued_and_what_is_of_no_use_in_part_is_asked_again(
    answer: CutAnswer, expected: CappedAnswer | None
) -> None:
    assert answer.next() == expected

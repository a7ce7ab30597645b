"""Are the options of the GPU service read, its instances counted and its seconds billed by the rules?"""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins.cloud_run.bill import Bill, billed
from standins.cloud_run.options import Options, Span, changed, span_from
from standins.cloud_run.scaling import to_start, to_withdraw, wanted
from tests.checks import every


@pytest.mark.parametrize(("text", "span"), [("5", Span(low=5, high=5)), ("3-9", Span(low=3, high=9))])
def test_a_span_is_a_number_or_two(text: str, span: Span) -> None:
    assert span_from(text) == span
    assert str(span) == text


def test_a_random_start_lies_in_its_span_and_is_drawn_anew() -> None:
    source = random.Random(1)  # noqa: S311 - it draws delays
    drawn = [Span(low=3, high=9).draw(source) for _ in range(50)]
    assert every(3 <= seconds <= 9 for seconds in drawn)
    assert len(set(drawn)) == 50


@pytest.mark.parametrize(
    "given",
    [{"start": "9-3"}, {"start": "soon"}, {"tail": "-1"}, {"start": "inf"}, {"speed": "0"}, {"max_instances": "0"}],
)
def test_an_option_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        changed(Options(), given)


@pytest.mark.parametrize(
    ("waiting", "busy", "instances"),
    [(0, 0, 0), (1, 0, 1), (8, 0, 1), (9, 0, 2), (1, 8, 2), (50, 0, 3)],
)
def test_traffic_wants_as_many_instances_as_hold_it_up_to_the_maximum(waiting: int, busy: int, instances: int) -> None:
    assert wanted(Options(concurrency=8, max_instances=3), waiting=waiting, busy=busy) == instances


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 5), st.integers(1, 10), st.integers(1, 5))
def test_nothing_is_started_and_withdrawn_at_once(
    waiting: int, busy: int, alive: int, concurrency: int, most: int
) -> None:
    options = Options(concurrency=concurrency, max_instances=most, abandoned_starts=False)
    started = to_start(options, waiting=waiting, busy=busy, alive=alive)
    withdrawn = to_withdraw(options, waiting=waiting, busy=busy, alive=alive, starting=alive)
    assert not (started and withdrawn)
    assert alive + started <= max(most, alive)
    assert withdrawn <= alive


@given(st.integers(0, 100), st.integers(0, 5))
def test_a_start_that_goes_on_is_never_withdrawn(busy: int, alive: int) -> None:
    assert to_withdraw(Options(abandoned_starts=True), waiting=0, busy=busy, alive=alive, starting=alive) == 0


@pytest.mark.parametrize(
    ("seconds", "paid"), [(0, 0), (0.001, 0.1), (0.1, 0.1), (0.30000000000000004, 0.3), (1.21, 1.3), (60, 60)]
)
def test_seconds_are_billed_in_steps_of_100_ms(seconds: float, paid: float) -> None:
    assert billed(seconds) == paid


def test_a_session_that_goes_on_is_billed_up_to_now() -> None:
    bill = Bill()
    session = bill.open(now=1000.0, speed=10)
    session.ready = 1000.5
    assert bill.wire(now=1002.0)["billed_s"] == 20.0
    session.ended = 1003.0
    wire = bill.wire(now=2000.0)
    assert wire["billed_s"] == 30.0
    assert wire["sessions"][0]["start_s"] == 5.0

"""Does the GPU service parse options, count instances and bill seconds by Cloud Run's rules?"""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins.cloud_run.instance_bill import InstanceBill, billed_seconds
from standins.cloud_run.options import CloudRunOptions, SecondsRange, seconds_range_from, with_changes
from standins.cloud_run.scaling import needed_instances, to_start, to_withdraw
from tests.checks import every


@pytest.mark.parametrize(("text", "span"), [("5", SecondsRange(low=5, high=5)), ("3-9", SecondsRange(low=3, high=9))])
def test_a_range_of_seconds_is_one_number_or_two(text: str, span: SecondsRange) -> None:
    assert seconds_range_from(text) == span
    assert str(span) == text


def test_a_random_start_is_within_its_range_and_drawn_for_each_start() -> None:
    source = random.Random(1)  # noqa: S311 - it draws delays
    drawn = [SecondsRange(low=3, high=9).draw(source) for _ in range(50)]
    assert every(3 <= seconds <= 9 for seconds in drawn)
    assert len(set(drawn)) == 50


@pytest.mark.parametrize(
    "given",
    [{"start": "9-3"}, {"start": "soon"}, {"tail": "-1"}, {"start": "inf"}, {"speed": "0"}, {"max_instances": "0"}],
)
def test_an_invalid_option_is_rejected(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given))):
        with_changes(CloudRunOptions(), given)


def test_an_invalid_option_is_explained() -> None:
    with pytest.raises(ValueError, match=r"^start=soon: soon is not a number of seconds$"):
        with_changes(CloudRunOptions(), {"start": "soon"})
    with pytest.raises(ValueError, match=r"^max_instances=two: two is not a whole number above 0$"):
        with_changes(CloudRunOptions(), {"max_instances": "two"})
    with pytest.raises(ValueError, match=r"^count_failure=200: 200 is not the status of an error$"):
        with_changes(CloudRunOptions(), {"count_failure": "200"})
    with pytest.raises(ValueError, match=r"^abandoned_starts=maybe: maybe is neither yes nor no$"):
        with_changes(CloudRunOptions(), {"abandoned_starts": "maybe"})
    with pytest.raises(ValueError, match=r"^unknown option colour; choose one of start, "):
        with_changes(CloudRunOptions(), {"colour": "red"})


@pytest.mark.parametrize(
    ("waiting", "busy", "instances"),
    [(0, 0, 0), (1, 0, 1), (8, 0, 1), (9, 0, 2), (1, 8, 2), (50, 0, 3)],
)
def test_traffic_needs_instances_for_all_its_requests_up_to_the_maximum(
    waiting: int, busy: int, instances: int
) -> None:
    assert needed_instances(CloudRunOptions(concurrency=8, max_instances=3), waiting=waiting, busy=busy) == instances


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 5), st.integers(1, 10), st.integers(1, 5))
def test_no_instance_is_started_and_withdrawn_at_once(
    waiting: int, busy: int, alive: int, concurrency: int, most: int
) -> None:
    options = CloudRunOptions(concurrency=concurrency, max_instances=most, abandoned_starts=False)
    started = to_start(options, waiting=waiting, busy=busy, alive=alive)
    withdrawn = to_withdraw(options, waiting=waiting, busy=busy, alive=alive, starting=alive)
    assert not (started and withdrawn)
    assert alive + started <= max(most, alive)
    assert withdrawn <= alive


@given(st.integers(0, 100), st.integers(0, 5))
def test_a_start_that_continues_is_never_withdrawn(busy: int, alive: int) -> None:
    assert to_withdraw(CloudRunOptions(abandoned_starts=True), waiting=0, busy=busy, alive=alive, starting=alive) == 0


@pytest.mark.parametrize(
    ("seconds", "paid"), [(0, 0), (0.001, 0.1), (0.1, 0.1), (0.30000000000000004, 0.3), (1.21, 1.3), (60, 60)]
)
def test_seconds_are_billed_in_steps_of_100_ms(seconds: float, paid: float) -> None:
    assert billed_seconds(seconds) == paid


def test_a_running_session_is_billed_up_to_now() -> None:
    bill = InstanceBill()
    session = bill.open(now=1000.0, speed=10)
    session.ready = 1000.5
    assert bill.to_json(now=1002.0)["billed_s"] == 20.0
    session.ended = 1003.0
    wire = bill.to_json(now=2000.0)
    assert wire["billed_s"] == 30.0
    assert wire["sessions"][0]["start_s"] == 5.0

"""Does the GPU service parse its options, and reject the others with the reason?"""

import random
from typing import Any

import pytest

from standins.cloud_run.options import CloudRunOptions, SecondsRange, seconds_range_from, with_changes
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

"""Does a check of every item fail for an empty list?"""

import pytest

from tests.checks import every


def test_every_result_that_is_true_passes() -> None:
    assert every(number > 0 for number in (1, 2, 3))


def test_an_empty_list_fails_because_it_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing to check"):
        every(number > 0 for number in ())


def test_a_failure_names_the_items_that_fail() -> None:
    with pytest.raises(AssertionError, match=r"items \[1, 2\] of 3"):
        every(number > 1 for number in (2, 1, 0))

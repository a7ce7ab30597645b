"""How long do the next calls of a tool take, by its last ones?"""

from domain.tools.pauses.durations import ENOUGH, KEPT, MOST_TOOLS, CallTimes, ToolDurations, quantile
from tests.checks import every


def test_the_last_calls_tell_how_long_the_slowest_of_a_round_takes() -> None:
    known = ToolDurations().with_calls([("a/x", 1.0)] * 3 + [("a/y", each) for each in (5.0, 7.0, 9.0)])
    assert known.times(["a/x", "a/y"]) == CallTimes(5.0, 7.0, 9.0)
    assert known.times(["a/x", "a/unknown"]) is None
    assert known.times([]) is None
    aged = known.with_calls([("a/y", 100.0)] * KEPT)
    assert aged.times(["a/y"]) == CallTimes(100.0, 100.0, 100.0)
    assert every(len(each) <= KEPT for each in aged.tools.values())
    assert ToolDurations.from_document(aged.to_document()).times(["a/y"]) == aged.times(["a/y"])


def test_nine_of_ten_calls_end_between_early_and_late() -> None:
    known = ToolDurations().with_calls(("a/x", float(each)) for each in range(20, 0, -1))
    assert known.times(["a/x"]) == CallTimes(2.0, 10.0, 18.0)


def test_too_few_calls_tell_nothing() -> None:
    few = ToolDurations().with_calls([("a/x", 1.0)] * (ENOUGH - 1))
    assert few.times(["a/x"]) is None
    assert few.with_calls([("a/x", 1.0)]).times(["a/x"]) == CallTimes(1.0, 1.0, 1.0)


def test_the_tool_that_was_called_longest_ago_is_forgotten_first() -> None:
    names = [f"a/{number}" for number in range(MOST_TOOLS)]
    full = ToolDurations().with_calls((name, 1.0) for name in names)
    after = full.with_calls([(names[0], 1.0), ("a/new", 1.0)])
    assert list(after.tools) == [*names[2:], names[0], "a/new"]


def test_a_quantile_is_one_of_the_values() -> None:
    """The nearest rank: the smallest value that is not below so large a share of them."""
    assert [quantile([15, 20, 35, 40, 50], share) for share in (0.05, 0.3, 0.4, 0.5, 1.0)] == [15, 20, 20, 35, 50]
    assert quantile([1.0], 0.0) == 1.0

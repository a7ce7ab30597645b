"""Which optional parts of an answer are sent, and which request for others is named?"""

import pytest

from api.parsing.include import ALWAYS_SENT, LOGPROBS, check_top_logprobs, logprobs_path, read_include
from domain.errors import Invalid
from domain.turns.response import IncludedPart


def test_nothing_is_included_by_default() -> None:
    assert read_include(None) == read_include([]) == ((), ())


def test_known_parts_are_sent_once_and_in_one_order() -> None:
    wanted = [each.value for each in IncludedPart]
    assert read_include([*reversed(wanted), *wanted]) == (tuple(IncludedPart), ())


def test_parts_that_are_never_sent_are_named_once_and_those_that_always_are_not() -> None:
    assert read_include(["b", *ALWAYS_SENT, "a", "b"]) == ((), ("include.b", "include.a"))


@pytest.mark.parametrize(
    ("include", "top", "path"),
    [
        (None, None, None),
        (None, 0, None),
        (["x"], 0, None),
        (None, 3, "top_logprobs"),
        ([LOGPROBS], None, "include[0]"),
        (["x", LOGPROBS], 3, "include[1]"),
    ],
)
def test_the_field_that_asks_for_log_probabilities_is_named(
    include: list[str] | None, top: int | None, path: str | None
) -> None:
    assert logprobs_path(include, top) == path


@pytest.mark.parametrize("asked", [None, False])
def test_a_chat_needs_log_probabilities_for_their_alternatives(*, asked: bool | None) -> None:
    check_top_logprobs(asked, 0)
    check_top_logprobs(asked, None)
    check_top_logprobs(True, 5)
    with pytest.raises(Invalid) as caught:
        check_top_logprobs(asked, 1)
    assert (caught.value.field, caught.value.code) == ("top_logprobs", "invalid_value")

"""Does a model read the part of a result that the file selects, and no more tokens than it says?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.tools.results import bounded, cut_to, fits, result_text, selected

ANSWER = {"data": {"orders": [{"id": 1, "secret": "x", "state": None}, {"id": 2}, "odd"]}}


@pytest.mark.parametrize(
    ("answer", "fields", "found"),
    [
        ((), (), ANSWER),
        (("data", "orders"), (), ANSWER["data"]["orders"]),
        (("data", "orders"), ("id", "state"), [{"id": 1, "state": None}, {"id": 2}, "odd"]),
        (("data",), ("orders",), ANSWER["data"]),
        (("data",), ("missing",), {}),
        (("missing", "orders"), (), None),
        (("data", "orders", "id"), ("id",), None),
    ],
)
def test_a_part_of_an_answer_is_selected(answer: tuple[str, ...], fields: tuple[str, ...], found: Any) -> None:
    assert selected(ANSWER, answer, fields) == found


def test_a_text_stays_as_it_is_and_json_is_short() -> None:
    assert result_text("a b") == "a b"
    assert result_text({"a": [1, "é"]}) == '{"a":[1,"é"]}'


def test_a_cut_keeps_both_ends_and_tells_how_much_is_missing() -> None:
    assert cut_to("abcdefghij", 2) == "ab\n[… 6 characters were left out here …]\nij"


@given(text=st.text(max_size=400) | st.text("a<|é\x01", max_size=400), max_tokens=st.integers(40, 80))
def test_a_bounded_text_fits_and_is_whole_where_it_can_be(text: str, max_tokens: int) -> None:
    found = bounded(text, max_tokens)
    assert fits(found, max_tokens)
    assert (found == text) is fits(text, max_tokens)


def test_as_much_is_kept_as_fits() -> None:
    text = "word " * 1000
    found = bounded(text, 100)
    kept = found.index("\n[…")
    assert found == cut_to(text, kept)
    assert not fits(cut_to(text, kept + 1), 100)

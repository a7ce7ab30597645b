"""Is the output of a search written and shown as the API has it, also where rows have odd values?"""

import json
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import Item, ItemKind, ItemStatus
from domain.sources.file_search import NOT_SENT_BACK, queries_of, result_of, results_of, rows_in, rows_text, sent_back

VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(codec="utf-8"), max_size=9)
ROWS = st.lists(st.tuples(st.sampled_from(["orders", "docs"]), st.dictionaries(st.sampled_from("abc"), VALUES)))


def search(text: str = "", output: str | None = None) -> Item:
    return Item(id="fs_1", kind=ItemKind.FILE_SEARCH, text=text, output=output)


@given(rows=ROWS)
def test_the_rows_of_an_output_are_read_again(rows: list[tuple[str, dict[str, Any]]]) -> None:
    assert list(rows_in(search(output=rows_text(rows, problems={}, left_out=0)))) == rows


def test_problems_and_what_is_left_out_are_told_only_where_there_are_some() -> None:
    assert json.loads(rows_text([], problems={}, left_out=0)) == {"rows": []}
    found = json.loads(rows_text([], problems={"orders": "late"}, left_out=2))
    assert found == {"rows": [], "problems": {"orders": "late"}, "left_out": 2}


@pytest.mark.parametrize(
    "output", [None, "", "no JSON", "[]", "[" * 100_000, '{"rows": 5}', '{"rows": [1, {"row": 2}]}']
)
def test_an_output_of_another_form_has_no_results(output: str | None) -> None:
    assert results_of(search(output=output)) == []


@pytest.mark.parametrize(
    ("text", "queries"),
    [('{"query": "late orders"}', ["late orders"]), ('{"query": 5}', []), ("{}", []), ("no JSON", [])],
)
def test_a_query_is_what_the_model_wrote(text: str, queries: list[str]) -> None:
    assert queries_of(search(text)) == queries


def test_the_score_of_a_result_is_one_over_its_place() -> None:
    output = rows_text([("orders", {"id": number}) for number in range(3)], problems={}, left_out=0)
    found = results_of(search(output=output))
    assert [(each["file_id"], each["score"]) for each in found] == [("0", 1.0), ("1", 0.5), ("2", 0.333)]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"id": 7, "title": "T", "name": "N", "text": "body"}, ("7", "T", "body")),
        ({"id": "", "name": "N", "title": 5}, ("orders", "N", '{"id": "", "name": "N", "title": 5}')),
        ({"text": 5}, ("orders", "orders", '{"text": 5}')),
    ],
)
def test_a_result_is_named_by_its_row_and_else_by_its_source(row: dict[str, Any], shown: tuple[str, str, str]) -> None:
    found = result_of("orders", row, score=1.0)
    assert (found["file_id"], found["filename"], found["text"]) == shown


def test_attributes_are_plain_values_within_the_limits_of_the_api() -> None:
    row = {"text": "left out", "long" * 30: "v" * 600, "nan": nan, "inf": inf, "list": [1], "none": None, "flag": True}
    assert result_of("orders", row, score=1.0)["attributes"] == {
        ("long" * 30)[:64]: "v" * 512,
        "flag": True,
        "source": "orders",
    }
    many = result_of("orders", {f"field_{number}": number for number in range(20)}, score=1.0)["attributes"]
    assert list(many) == [*(f"field_{number}" for number in range(15)), "source"]


def test_a_search_that_a_caller_sends_back_is_read_as_one_of_ours() -> None:
    item = sent_back(["late", "orders"], [{"filename": "f", "file_id": "1", "text": "x"}, {}], has_failed=False)
    assert (item.kind, item.status, queries_of(item)) == (ItemKind.FILE_SEARCH, ItemStatus.COMPLETED, ["late orders"])
    assert list(rows_in(item)) == [("f", {"id": "1", "text": "x"}), ("", {"id": None, "text": None})]
    without = sent_back(["late"], None, has_failed=True)
    assert (without.status, without.output) == (ItemStatus.FAILED, NOT_SENT_BACK)

"""Is each kind of field read, and is a wrong one named with its table, what was expected and what was found?"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.config.toml_table import TomlTable, document, expanded, good_url, origin_of, plain_amount, private
from domain.errors import ConfigurationError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def table(**values: Any) -> TomlTable:
    return TomlTable("top", values, [])


type Read = Callable[[TomlTable], Any]

READERS: dict[str, Read] = {
    "text": lambda one: one.text("x"),
    "any_text": lambda one: one.any_text("x", "usual"),
    "whole": lambda one: one.whole("x"),
    "within": lambda one: one.within("x", 2, 4),
    "number": lambda one: one.number("x"),
    "above_zero": lambda one: one.above_zero("x"),
    "amount": lambda one: one.amount("x"),
    "share": lambda one: one.share("x", Decimal("0.8")),
    "flag": lambda one: one.flag("x"),
    "day": lambda one: one.day("x"),
    "choice": lambda one: one.choice("x", Colour),
    "choices": lambda one: one.choices("x", Colour),
    "texts": lambda one: one.texts("x"),
    "wholes": lambda one: one.wholes("x"),
    "hours": lambda one: one.hours("x"),
}


@pytest.mark.parametrize(
    ("reader", "value", "found"),
    [
        ("text", "a", "a"),
        ("any_text", "", ""),
        ("whole", 1, 1),
        ("within", 2, 2),
        ("within", 4, 4),
        ("number", 0, 0.0),
        ("above_zero", 0.5, 0.5),
        ("amount", "0", Decimal(0)),
        ("amount", "123456789.012", Decimal("123456789.012")),
        ("share", "1", Decimal(1)),
        ("flag", False, False),
        ("day", dt.date(2026, 11, 22), "2026-11-22"),
        ("day", "2026-12", "2026-12"),
        ("choice", "blue", Colour.BLUE),
        ("choices", ["blue", "red"], (Colour.BLUE, Colour.RED)),
        ("choices", [], ()),
        ("texts", ["a", "b"], ("a", "b")),
        ("wholes", [3, 1], (3, 1)),
        ("hours", [0, 23], (0, 23)),
    ],
)
def test_a_good_value_is_read(reader: str, value: Any, found: Any) -> None:
    one = table(x=value)
    assert (READERS[reader](one), one.problems) == (found, [])


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        ("text", "", "text"),
        ("text", 1, "text"),
        ("any_text", 1, "text"),
        ("whole", 0, "a whole number above 0"),
        ("whole", True, "a whole number above 0"),
        ("whole", 1.0, "a whole number above 0"),
        ("within", 1, "a whole number from 2 to 4"),
        ("within", 5, "a whole number from 2 to 4"),
        ("number", -0.1, "a number of 0 or more"),
        ("number", float("inf"), "a number of 0 or more"),
        ("number", True, "a number of 0 or more"),
        ("above_zero", 0, "a number above 0"),
        ("amount", 0.25, 'an amount in quotes, such as "0.25"'),
        ("amount", "-1", 'an amount in quotes, such as "0.25"'),
        ("amount", "NaN", 'an amount in quotes, such as "0.25"'),
        ("amount", "much", 'an amount in quotes, such as "0.25"'),
        ("amount", "1234567890.123", 'an amount in quotes, such as "0.25"'),
        ("share", "0", 'a share above 0 and at most 1 in quotes, such as "0.8"'),
        ("share", "1.01", 'a share above 0 and at most 1 in quotes, such as "0.8"'),
        ("flag", 1, "true or false"),
        ("day", dt.datetime(2026, 11, 22, tzinfo=dt.UTC), 'a date, such as 2026-11-22, or a month, such as "2026-11"'),
        ("day", "2026-13", 'a date, such as 2026-11-22, or a month, such as "2026-11"'),
        ("choice", "green", "one of red, blue"),
        ("choices", ["red", "green"], "a list of one of red, blue"),
        ("choices", "red", "a list of one of red, blue"),
        ("choices", [["red"]], "a list of one of red, blue"),
        ("texts", ["a", ""], "a list of texts"),
        ("texts", "a", "a list of texts"),
        ("wholes", [1, 0], "a list of whole numbers"),
        ("hours", [24], "a list of hours in UTC, from 0 to 23"),
        ("hours", [True], "a list of hours in UTC, from 0 to 23"),
    ],
)
def test_a_wrong_value_is_named(reader: str, value: Any, expected: str) -> None:
    one = table(x=value)
    READERS[reader](one)
    assert one.problems == [f"top.x: expected {expected}, found {value!r}"]


@pytest.mark.parametrize(
    "reader", ["text", "whole", "within", "number", "above_zero", "amount", "flag", "day", "choice"]
)
def test_a_field_without_a_default_must_be_there(reader: str) -> None:
    one = table()
    READERS[reader](one)
    (problem,) = one.problems
    assert problem.startswith("top.x: expected ")
    assert problem.endswith(", found nothing")


def test_a_default_counts_only_where_the_field_is_absent() -> None:
    one = table(wrong=-1)
    assert (one.whole("absent", 7), one.flag("off", default=False), one.text("name", "usual")) == (7, False, "usual")
    assert one.problems == []
    one.whole("wrong", 7)
    assert one.problems == ["top.wrong: expected a whole number above 0, found -1"]


def test_a_renamed_field_has_one_of_its_names() -> None:
    assert table(new=1).key_of("new", "old") == "new"
    assert table().key_of("new", "old") == "new"
    former = table(old=1)
    assert former.key_of("new", "old") == "old"
    former.close()
    assert former.problems == []
    both = table(new=1, old=1)
    assert both.key_of("new", "old") == "new"
    assert both.problems == ["top.new: expected either new or its former name old, found both; remove old"]


def test_the_fields_that_were_not_read_are_named_beside_those_that_are_known() -> None:
    one = table(b=1, odd=2)
    one.optional("a", one.text)
    one.whole("b")
    one.close()
    assert one.problems == ["top.odd: expected one of the fields a, b"]


def test_the_tables_within_share_the_list_of_problems() -> None:
    one = table(group={"first": {"x": 0}, "second": 5}, rows=[{"x": 0}, 7])
    for _, each in one.tables("group"):
        each.optional("x", each.whole)
    for row in one.rows("rows"):
        row.whole("x")
    assert one.problems == [
        "top.group.first.x: expected a whole number above 0, found 0",
        "top.group.second: expected a table, found 5",
        "top.rows[0].x: expected a whole number above 0, found 0",
        "top.rows[1]: expected a table, found 7",
    ]


def test_an_absent_table_is_empty_unless_it_is_required() -> None:
    one = table(rows={})
    assert (one.table("x").values, list(one.tables("y")), one.problems) == ({}, [], [])
    one.table("x", required=True)
    assert list(one.rows("rows")) == []
    assert one.problems == ["top.x: expected a table, found nothing", "top.rows: expected a list of tables, found {}"]


def test_a_file_that_is_no_toml_is_named() -> None:
    assert document("a = 1", "fleet.toml").whole("a") == 1
    with pytest.raises(ConfigurationError, match=r"fleet\.toml: expected TOML, found "):
        document("a = ", "fleet.toml")


@given(st.text())
def test_an_amount_is_exact_or_none(text: str) -> None:
    found = plain_amount(text)
    assert found is None or (found == Decimal(text) and found >= 0 and len(found.as_tuple().digits) <= 12)


def test_only_the_variables_that_are_set_are_replaced() -> None:
    assert expanded("%ABC%/%UNSET%/%EMPTY%/%ab%", {"ABC": "x", "EMPTY": ""}) == "x/%UNSET%/%EMPTY%/%ab%"


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://host", True),
        ("http://127.0.0.1:8000/v1", True),
        ("ftp://host", False),
        ("https://", False),
        ("https://host:0", False),
        ("https://host:70000", False),
        ("https://host:port", False),
        ("https://user@host", False),
        ("https://host?q=1", False),
        ("https://host#part", False),
        ("https://[::1", False),
    ],
)
def test_an_address_is_plain_http(url: str, *, good: bool) -> None:
    assert good_url(url) is good


def test_a_token_goes_to_an_encrypted_address_or_stays_on_this_machine() -> None:
    assert private("https://host")
    assert private("http://localhost:8000")
    assert private("http://%HOST%/v1")
    assert not private("http://host:8000")
    assert not private("http://127.0.0.1.example.com")


def test_an_origin_has_no_path() -> None:
    assert origin_of("https://host:8443/v1/models") == "https://host:8443"
    assert origin_of("https://host") == "https://host"

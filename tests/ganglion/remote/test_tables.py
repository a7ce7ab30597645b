"""How is a value of a list shown in a table?"""

from typing import Any

import pytest

from ganglion.remote.tables import shown, table, value_at


def test_columns_are_paths_and_as_wide_as_their_widest_value() -> None:
    rows = [{"name": "gpu", "start": {"p99_s": 1.5}}, {"name": "a long name"}]
    assert table(rows, ["name", "start.p99_s"]).split("\n") == [
        "name         start.p99_s",
        "gpu          1.500",
        "a long name  -",
        "",
    ]


def test_an_empty_list_says_so() -> None:
    assert table([], ["name", "id"]) == "name  id\n(none)\n"


@pytest.mark.parametrize(
    ("path", "value"), [("a.b.c", 1), ("a.b", {"c": 1}), ("a.x", None), ("a.b.c.d", None), ("x.y", None)]
)
def test_a_path_that_leads_nowhere_has_no_value(path: str, value: Any) -> None:
    assert value_at({"a": {"b": {"c": 1}}}, path) == value


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("x", None, "-"),
        ("since", None, "-"),
        ("x", True, "yes"),
        ("x", False, "no"),
        ("x", 0.12345, "0.123"),
        ("x", 5, "5"),
        ("created_at", 1_795_305_600, "2026-11-22 00:00:00"),
        ("until", 1_795_305_600.9, "2026-11-22 00:00:00"),
        ("name", "a\x1b[31m\nb\u202e", "a [31m b "),
    ],
)
def test_a_value_is_shown_without_control_characters(column: str, value: Any, text: str) -> None:
    assert shown(column, value) == text

"""How wide is a column, what is shortened, and what is coloured?"""

import pytest

from devhost.cli.tables import (
    COLOURS,
    MAX_CELL_WIDTH,
    coloured,
    history_table,
    instance_text,
    instances_table,
    shorten,
    table,
    text_of,
)


def test_a_column_is_as_wide_as_its_widest_cell_and_no_line_ends_with_blanks() -> None:
    assert table(["A", "LONG"], [["wide cell", "x"], ["", ""]], colour=False).split("\n") == [
        "A          LONG",
        "wide cell  x",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb  c", "a b c"),
        ("x" * MAX_CELL_WIDTH, "x" * MAX_CELL_WIDTH),
        ("x" * (MAX_CELL_WIDTH + 1), "x" * (MAX_CELL_WIDTH - 1) + "…"),
    ],
)
def test_a_cell_is_one_short_line(text: str, shown: str) -> None:
    assert shorten(text) == shown


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), ("a", "a"), (0, "0"), ({"ä": [1]}, '{"ä": [1]}'), (False, "false")]
)
def test_a_value_is_json_unless_it_is_a_text(value: object, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("status", COLOURS)
def test_only_a_status_is_coloured_and_only_where_colours_are_wanted(status: str) -> None:
    assert coloured(status, 12, colour=True) == f"\x1b[{COLOURS[status]}m{status.ljust(12)}\x1b[0m"
    assert coloured(status, 12, colour=False) == status.ljust(12)
    assert coloured("other", 6, colour=True) == "other "


def test_an_instance_without_a_field_has_an_empty_cell() -> None:
    shown = instances_table([{"instanceId": "i", "runtimeStatus": "Running", "customStatus": {"a": 1}}], colour=False)
    title, row = shown.split("\n")
    assert title.split() == ["INSTANCE", "NAME", "STATUS", "CREATED", "UPDATED", "CUSTOM", "STATUS"]
    assert row.split() == ["i", "Running", '{"a":', "1}"]


def test_the_fields_of_an_instance_are_whole_and_its_history_is_left_out() -> None:
    long = "x" * 200
    assert instance_text({"name": "o", "output": long, "historyEvents": [1]}, colour=False).split("\n") == [
        "name    o",
        f"output  {long}",
    ]


def test_an_event_shows_the_first_value_that_it_has() -> None:
    events = [
        {"Timestamp": "t", "EventType": "TaskCompleted", "FunctionName": "add", "Result": 3, "Input": 1},
        {"Timestamp": "t", "EventType": "EventRaised", "Name": "go", "Input": ""},
        {"Timestamp": "t", "EventType": "TimerCreated", "Result": None, "FireAt": "later"},
    ]
    assert [line.split() for line in history_table(events, colour=False).split("\n")[1:]] == [
        ["t", "TaskCompleted", "add", "3"],
        ["t", "EventRaised", "go"],
        ["t", "TimerCreated", "later"],
    ]

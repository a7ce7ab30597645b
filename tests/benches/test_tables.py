"""Are the figures of a benchmark the right ones, in a table that Markdown reads?"""

import os

import pytest

from benches.tables import most_memory_mib, percentile, print_table


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.25, 2.0), (0.5, 3.0), (0.95, 4.0), (1.0, 4.0)], ids=lambda each: f"{each}"
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == value


def test_every_line_of_a_table_is_as_wide_as_its_widest_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "long head"), [("value", "1"), ("b", "22")])
    assert capsys.readouterr().out.splitlines() == [
        "| a     | long head |",
        "| ----- | --------- |",
        "| value | 1         |",
        "| b     | 22        |",
    ]


def test_a_table_without_rows_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a",), [])
    assert capsys.readouterr().out == "| a |\n| - |\n"


def test_a_process_has_had_memory() -> None:
    assert 1 < most_memory_mib(os.getpid()) < 100_000

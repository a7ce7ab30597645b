"""Which rows and facts does the demo show?"""

from standins.demo.private_rows import facts_in, rows_of, shown_rows, used_rows
from tests.checks import every


def test_a_fact_comes_from_a_row_and_was_not_known_before() -> None:
    rows = {"D-1": "lasts 36 months", "D-2": "12 days, code HERON-7"}
    assert facts_in("36 months, says D-1, and HERON-7", rows, known_text="") == [
        ("36", "D-1"),
        ("D-1", "D-1"),
        ("HERON-7", "D-2"),
    ]
    assert facts_in("36 months", rows, known_text="it may be 36 months") == []
    assert facts_in("24 months", rows, known_text="") == []


def test_used_rows_are_shown_with_their_text_on_one_line() -> None:
    accounts = [{"source": "orders", "ids": ["A-1001"]}, {"source": "documents", "ids": ["D-13", "D-99"]}]
    lines = list(shown_rows(used_rows(accounts), rows_of("contoso", "alice")))
    assert lines[0].split()[:4] == ["orders", "A-1001", "a", "telescope"]
    assert lines[1].endswith("…")
    assert lines[2].split() == ["documents", "D-99"]
    assert every(len(line) < 100 for line in lines)


def test_rows_of_other_users_are_not_shown() -> None:
    assert set(rows_of("contoso", "bob")) == {"B-2001", "D-21"}

"""How are the rows of several sources put together, and what is told where none could be read?"""

from clients.tools.source_tool import problem_text, ranked_rows
from domain.sources.catalog import FetchedRows


def test_the_first_rows_of_each_source_come_before_the_second_ones() -> None:
    orders = FetchedRows(source="orders", rows=({"n": 1}, {"n": 2}, {"n": 3}))
    docs = FetchedRows(source="docs", rows=({"n": 4},))
    late = FetchedRows(source="late", problem="timeout")
    assert ranked_rows([orders, late, docs]) == [
        ("orders", {"n": 1}),
        ("docs", {"n": 4}),
        ("orders", {"n": 2}),
        ("orders", {"n": 3}),
    ]


def test_each_problem_is_told_with_its_source() -> None:
    told = problem_text({"orders": "late", "docs": "refused"})
    assert told == "The data could not be read: orders: late; docs: refused."
    assert problem_text({}) == "The data could not be read: no source may be read now."

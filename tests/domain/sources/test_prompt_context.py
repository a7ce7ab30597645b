"""Do retrieved rows enter the prompt within their marks and limits, and is their use told?"""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.sources.catalog import (
    FetchedRows,
)
from domain.sources.prompt_context import context_text, rows_within_limits, source_metadata
from domain.tokens.estimates import tokens_in
from tests.checks import every

TOKEN = "f" * 24
texts = st.text()
rows = st.lists(st.dictionaries(texts, st.one_of(texts, st.integers(), st.lists(texts)), max_size=4), max_size=6)


@given(rows)
def test_no_row_can_close_the_marking_or_begin_a_line(given_rows: list[Mapping[str, Any]]) -> None:
    text = context_text([FetchedRows(source="s", rows=tuple(given_rows))], TOKEN)
    lines = text.splitlines()
    assert lines[-1] == f"[end of private data {TOKEN}]"
    assert text.count(TOKEN) == 3
    assert every(line.startswith("s: ") for line in lines[1:-1])
    assert len(lines) == 2 + max(len(given_rows), 1)


@given(rows, st.integers(1, 200), st.integers(1, 5))
def test_rows_never_pass_their_budget(given_rows: list[Mapping[str, Any]], most: int, number: int) -> None:
    kept = rows_within_limits("s", given_rows, max_rows=number, max_tokens=most)
    text = "\n".join(f"s: {json.dumps(row, ensure_ascii=False, sort_keys=True)}" for row in kept)
    assert len(kept) <= number
    assert tokens_in(text).likely <= most
    assert tokens_in(text).ceiling <= 4 * most


def test_a_source_that_failed_is_told_and_the_model_reads_nothing_of_it() -> None:
    fetched = [
        FetchedRows(source="a", rows=({"id": "1"}, {"id": 2}), left_out=3),
        FetchedRows(source="b", problem="it is down"),
    ]
    assert source_metadata([each.to_document() for each in fetched]) == {
        "ganglion_sources": "a: 2 rows (1, 2), 3 left out",
        "ganglion_source_problems": "b: it is down",
    }
    assert "b:" not in context_text(fetched, TOKEN)
    assert context_text(fetched[1:], TOKEN) == ""


@given(st.lists(st.builds(FetchedRows, source=texts, rows=rows.map(tuple), problem=texts), max_size=20))
def test_what_is_told_of_sources_fits_the_metadata(fetched: list[FetchedRows]) -> None:
    notes = source_metadata([each.to_document() for each in fetched])
    assert all(len(key) <= 64 and len(value) <= 512 for key, value in notes.items())  # may be empty: no source

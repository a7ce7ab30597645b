"""How is a batch shown at each of its stages, and what does it say of a pause and of its costs?"""

from copy import replace
from decimal import Decimal

import pytest

from api.batches.batch_object import (
    ENDING_KEY,
    METADATA_LIMIT,
    NOTE_CHARACTERS,
    noted,
    openai_from_batch,
    openai_from_costs,
)
from domain.batches.batch import Batch, BatchRequest, BatchStatus
from domain.batches.totals import BatchTotals
from state.batches.line_costs import LineCosts
from tests.fakes.worlds import OWNER

REQUEST = BatchRequest(endpoint="/v1/responses", input_file="file_1", metadata={"a": "b"}, window_s=3600.0, keep_s=None)
BATCH = Batch(id="batch_1", owner=OWNER, created_at=1000.9, request=REQUEST)


def test_a_new_batch_has_no_times_but_its_own() -> None:
    shown = openai_from_batch(BATCH, BatchTotals(), [])
    assert (shown["status"], shown["created_at"], shown["expires_at"]) == ("validating", 1000, 4600)
    assert {shown[name] for name in shown if name.endswith("_at")} == {1000, 4600, None}
    assert (shown["errors"], shown["metadata"]) == (None, {"a": "b"})
    assert "validating_at" not in shown


def test_a_batch_shows_when_it_came_into_each_status_and_what_its_lines_used() -> None:
    one = replace(BATCH, lines=3).entered(BatchStatus.IN_PROGRESS, at=1001.5).entered(BatchStatus.COMPLETED, at=1002.5)
    totals = BatchTotals(completed=2, failed=1, input_tokens=30, cached_tokens=5, output_tokens=20, reasoning_tokens=4)
    shown = openai_from_batch(one, totals, [])
    assert (shown["in_progress_at"], shown["completed_at"], shown["failed_at"]) == (1001, 1002, None)
    assert shown["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    assert shown["usage"] == {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 5},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 50,
    }


def test_mistakes_are_listed_where_there_are_some() -> None:
    mistake = {"code": "invalid_json", "line": 1, "message": "no JSON", "param": None}
    assert openai_from_batch(replace(BATCH, errors=5), BatchTotals(), [mistake])["errors"] == {
        "object": "list",
        "data": [mistake],
    }


def test_a_pause_is_told_in_the_metadata_where_they_have_room() -> None:
    assert noted(BATCH, "") == {"a": "b"}
    assert noted(BATCH, "no budget") == {"a": "b", ENDING_KEY: "paused: no budget"}
    assert len(noted(BATCH, "x" * 1000)[ENDING_KEY]) == NOTE_CHARACTERS
    full = {str(number): "" for number in range(METADATA_LIMIT)}
    assert noted(replace(BATCH, request=replace(REQUEST, metadata=full)), "no budget") == full


@pytest.mark.parametrize(
    ("costs", "total", "each"),
    [
        (LineCosts(Decimal(1), 3, is_final=True), "1.000000000", "0.333333333"),
        (LineCosts(Decimal(0), 0, is_final=True), "0.000000000", "0.000000000"),
    ],
)
def test_a_line_that_has_cost_any_has_its_average(costs: LineCosts, total: str, each: str) -> None:
    assert openai_from_costs(costs, 5) == {"lines": 5, "total_usd": total, "line_usd": each, "final": True}
    assert openai_from_costs(None, 5) is None

"""Is a batch stored so that a sweep finds it, and read as it was written?"""

import json
from copy import replace

import pytest

from domain.batches.batch import CHUNK_LINES, ENDINGS, Batch, BatchRequest, BatchStatus
from domain.identity.owners import Owner
from tests.checks import every

REQUEST = BatchRequest(endpoint="/v1/responses", input_file="file_1", metadata={"a": "b"}, window_s=3600.0)
NEW = Batch(id="batch_1", owner=Owner(tenant="t", subject="user:1", roles=("r",)), created_at=1000.0, request=REQUEST)


@pytest.mark.parametrize(("lines", "chunks"), [(0, 0), (1, 1), (CHUNK_LINES, 1), (CHUNK_LINES + 1, 2)])
def test_lines_are_divided_into_chunks(lines: int, chunks: int) -> None:
    assert replace(NEW, lines=lines).chunks == chunks


def test_a_batch_expires_a_window_after_its_creation() -> None:
    assert NEW.expires_at == 4600.0


def test_a_batch_knows_when_it_came_into_each_status() -> None:
    begun = NEW.entered(BatchStatus.IN_PROGRESS, at=1001.0).entered(BatchStatus.CANCELLING, at=1002.0)
    assert (begun.status, begun.times) == (BatchStatus.CANCELLING, {"in_progress": 1001.0, "cancelling": 1002.0})
    assert NEW.times == {}


def test_a_batch_that_has_not_ended_is_found_as_active_by_when_it_was_looked_at() -> None:
    states = {status: NEW.entered(status, at=1.0).to_document()["status"] for status in BatchStatus}
    assert every((states[status] == "ended") is (status in ENDINGS) for status in BatchStatus)
    assert (NEW.to_document()["at"], replace(NEW, looked_at=1500.0).to_document()["at"]) == (1000.0, 1500.0)


@pytest.mark.parametrize(
    "batch",
    [
        NEW,
        replace(NEW, looked_at=1500.0, outcome=BatchStatus.EXPIRED, output_file="file_2"),
        replace(NEW, request=replace(REQUEST, keep_s=86_400.0)).entered(BatchStatus.FINALIZING, at=2.0),
    ],
)
def test_a_batch_is_read_as_it_was_written(batch: Batch) -> None:
    assert Batch.from_document(json.loads(json.dumps(batch.to_document()))) == batch

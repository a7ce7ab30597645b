"""What have the lines of a batch cost, and when is that final?"""

from copy import replace
from decimal import Decimal

import pytest

from clients.storage.keys import money_key
from clients.storage.port import Create
from domain.batches.batch import CHUNK_LINES, Batch, BatchRequest, BatchStatus
from domain.batches.line_ids import response_id_of
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.ledger_records import AttemptRecord
from state.batches.line_costs import MOST_CHUNKS, LineCosts, costs_of_lines
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

REQUEST = BatchRequest(endpoint="/v1/responses", input_file="file_1", metadata={}, window_s=3600.0, keep_s=None)
RUNNING = Batch(
    id=f"batch_{'a' * 24}",
    owner=OWNER,
    created_at=1000.0,
    request=REQUEST,
    lines=CHUNK_LINES + 1,
    status=BatchStatus.IN_PROGRESS,
)
ENDED = replace(RUNNING, status=BatchStatus.COMPLETED)


def record(line: int, cost: str, *, number: int = 1, is_open: bool = False, batch: Batch = RUNNING) -> Create:
    closed = AttemptCharge(reserved=Decimal("0.5"), status=AttemptStatus.CLOSED, cost=Decimal(cost))
    found = AttemptRecord(
        response=response_id_of(batch, line),
        subject=OWNER.subject,
        number=number,
        backend="main",
        price="tokens",
        started_at=1001.0,
        charge=AttemptCharge(reserved=Decimal(cost)) if is_open else closed,
    )
    return Create(id=found.id, body=found.to_document())


@pytest.fixture
async def store(store: MemoryStore) -> MemoryStore:
    """A line with two attempts, one of the next chunk, and one of another batch."""
    other = replace(RUNNING, id=f"batch_{'b' * 24}")
    records = (
        record(0, "0.1"),
        record(0, "0.02", number=2),
        record(CHUNK_LINES, "0.003"),
        record(0, "9", batch=other),
    )
    await store.commit(money_key(OWNER.tenant), records)
    return store


async def test_the_records_of_all_chunks_of_one_batch_are_added_up(store: MemoryStore) -> None:
    assert await costs_of_lines(store, RUNNING) == LineCosts(Decimal("0.123"), lines=2, is_final=False)
    assert await costs_of_lines(store, ENDED) == LineCosts(Decimal("0.123"), lines=2, is_final=True)


async def test_a_record_that_is_open_counts_at_its_reservation_and_is_not_final(store: MemoryStore) -> None:
    await store.commit(money_key(OWNER.tenant), (record(1, "0.5", is_open=True),))
    assert await costs_of_lines(store, ENDED) == LineCosts(Decimal("0.623"), lines=3, is_final=False)


async def test_a_damaged_record_is_left_out_and_no_sum_without_it_is_final(store: MemoryStore) -> None:
    damaged = replace(record(1, "0"), body={"odd": 1})
    await store.commit(money_key(OWNER.tenant), (damaged,))
    assert await costs_of_lines(store, ENDED) == LineCosts(Decimal("0.123"), lines=2, is_final=False)


async def test_a_batch_without_records_costs_nothing(store: MemoryStore) -> None:
    empty = replace(ENDED, id=f"batch_{'c' * 24}", lines=0)
    assert await costs_of_lines(store, empty) == LineCosts(Decimal(0), lines=0, is_final=True)


async def test_a_batch_of_too_many_chunks_is_not_added_up(store: MemoryStore) -> None:
    assert await costs_of_lines(store, replace(ENDED, lines=MOST_CHUNKS * CHUNK_LINES)) is not None
    assert await costs_of_lines(store, replace(ENDED, lines=MOST_CHUNKS * CHUNK_LINES + 1)) is None

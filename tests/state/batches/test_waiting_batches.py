"""Whose lines count beside those of a batch that waits for its start?"""

from copy import replace

import pytest

from domain.batches.batch import Batch, BatchStatus
from domain.batches.start_time import StartDecision, WaitingLines
from state.batches.batch_store import BatchStore
from state.batches.starts import BatchStart
from state.batches.waiting_batches import BEGINNING_S, TimedBatch, lines_beside, lines_waiting_with, timed_among
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.state.batches.test_line_costs import RUNNING

AT = 2000.0
MINE = replace(RUNNING, model="small", lines=100)
OTHER = replace(MINE, id=f"batch_{'b' * 24}", lines=30)


def timed(batch: Batch = OTHER, *, starts: bool = False, backend: str = "") -> TimedBatch:
    decision = StartDecision(starts=starts, reason="", latest_start=AT, backend=backend)
    return TimedBatch(batch, BatchStart(decision=decision, at=AT, looks=1))


@pytest.mark.parametrize(
    ("other", "now", "shares"),
    [
        (timed(), AT, True),
        (timed(starts=True, backend="gpu"), AT + BEGINNING_S - 1, True),
        (timed(starts=True, backend="gpu"), AT + BEGINNING_S, False),
        (timed(starts=True), AT, False),
        (timed(replace(OTHER, model="large")), AT, False),
        (timed(replace(OTHER, status=BatchStatus.CANCELLING)), AT, False),
        (timed(MINE), AT, False),
    ],
)
def test_a_batch_of_the_same_model_shares_a_start_while_it_waits_or_begins(
    other: TimedBatch, now: float, *, shares: bool
) -> None:
    assert other.shares(MINE, now) is shares


def test_of_a_longer_batch_as_many_lines_run_beside_as_this_one_has() -> None:
    long = replace(OTHER, id=f"batch_{'c' * 24}", lines=5000)
    assert lines_beside(MINE, [timed(), timed(long)], now=AT) == WaitingLines(together=5130, beside=130)
    assert lines_beside(MINE, [], now=AT) == WaitingLines(together=100, beside=0)


async def test_only_a_batch_that_was_decided_on_and_may_wait_counts(store: MemoryStore, clock: FakeClock) -> None:
    batches = BatchStore(store, clock)
    waits, new, ended = (replace(OTHER, id=f"batch_{letter * 24}") for letter in "bcd")
    for each in (MINE, waits, new, ended):
        await batches.create(each)
    for each in (MINE, waits, ended):
        await batches.starts.save(each, timed().start.decision, looks=1)
    ended = await batches.change(ended.owner, ended.id, lambda one: one.entered(BatchStatus.COMPLETED, at=clock.now()))
    found = await timed_among(batches, (waits, new, ended))
    assert [each.batch for each in found] == [waits]
    assert await lines_waiting_with(batches, MINE, now=clock.now()) == WaitingLines(together=130, beside=30)

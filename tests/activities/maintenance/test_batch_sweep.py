"""Is every batch that lost its orchestration started again, however many were created before it?"""

from typing import Never

from activities.maintenance.batch_sweep import BatchSweep
from domain.batches.batch import Batch, BatchRequest
from domain.batches.line_ids import batch_id
from domain.batches.start_time import WaitingLines
from state.batches.batch_store import BatchStore
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import FakeOrchestrations
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

MOST = 2
REQUEST = BatchRequest(endpoint="/v1/responses", input_file="file-1", metadata={}, window_s=86_400.0)


async def no_decision(batch: Batch, lines: WaitingLines) -> Never:
    raise AssertionError(batch, lines)


async def swept(count: int, sweeps: int) -> tuple[list[Batch], list[str], BatchStore]:
    """Return new batches, and those that so many sweeps start again; a start does not make one run."""
    clock = FakeClock()
    store, made = BatchStore(MemoryStore(clock), clock), list[Batch]()
    for _ in range(count):
        made.append(
            await store.create(Batch(id=batch_id(clock.token()), owner=OWNER, created_at=clock.now(), request=REQUEST))
        )
        clock.advance(1)
    orchestrations = FakeOrchestrations()
    sweep = BatchSweep(store, no_decision, clock, unbegun_s=30.0, most=MOST)
    for _ in range(sweeps):
        clock.advance(60)
        await sweep.run(orchestrations)
    return made, orchestrations.batches, store


async def test_a_sweep_looks_at_the_batches_that_the_last_one_did_not_see() -> None:
    made, started, _ = await swept(5, sweeps=3)
    assert started == [each.id for each in (*made, made[0])]


async def test_a_batch_that_was_put_behind_expires_as_before() -> None:
    made, _, store = await swept(3, sweeps=1)
    found = [await store.read(OWNER, each.id) for each in made]
    assert [each.looked_at > 0 for each in found] == [True, True, False]
    assert [(each.created_at, each.expires_at) for each in found] == [
        (each.created_at, each.expires_at) for each in made
    ]
    assert [each.id for each in (await store.page(OWNER, after="", limit=5)).found] == [each.id for each in made[::-1]]


async def test_a_sweep_that_sees_all_batches_writes_nothing() -> None:
    made, _, store = await swept(1, sweeps=2)
    assert await store.read(OWNER, made[0].id) == made[0]

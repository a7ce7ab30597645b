"""How long is a batch known to pause, and how often is that written?"""

from copy import replace

from benches.scale.metered_store import MeteredStore
from state.batches.pauses import MARGIN_S, BatchPauses
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.state.batches.test_line_costs import RUNNING


async def test_a_pause_ends_by_itself_when_the_batch_has_tried_again(store: MemoryStore, clock: FakeClock) -> None:
    pauses = BatchPauses(store, clock)
    await pauses.note(RUNNING, "no budget", 60.0)
    clock.advance(60.0 + MARGIN_S - 1)
    assert await BatchPauses(store, clock).reason(RUNNING) == "no budget"
    clock.advance(1)
    assert await pauses.reason(RUNNING) == ""


async def test_of_many_lines_that_pause_at_once_the_first_notes_it(clock: FakeClock) -> None:
    store = MeteredStore(MemoryStore(clock), clock)
    pauses, other = BatchPauses(store, clock), replace(RUNNING, id=f"batch_{'b' * 24}")
    for batch in (RUNNING, RUNNING, other, RUNNING):
        await pauses.note(batch, "no budget", 60.0)
    assert store.calls["commit"] == 2
    clock.advance(MARGIN_S)
    await pauses.note(RUNNING, "still none", 60.0)
    assert await pauses.reason(RUNNING) == "still none"
    assert await pauses.reason(other) == "no budget"


async def test_a_longer_pause_replaces_a_shorter_one(store: MemoryStore, clock: FakeClock) -> None:
    pauses = BatchPauses(store, clock)
    await pauses.note(RUNNING, "no budget", 10.0)
    await pauses.note(RUNNING, "no budget this month", 10.0 + MARGIN_S)
    assert await pauses.reason(RUNNING) == "no budget this month"


async def test_a_batch_that_runs_or_has_no_documents_has_no_reason(store: MemoryStore, clock: FakeClock) -> None:
    pauses = BatchPauses(store, clock)
    assert await pauses.reason(RUNNING) == ""
    assert await pauses.reason(replace(RUNNING, id="batch_1")) == ""

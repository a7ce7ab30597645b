"""Is an event of a pipeline read as the first release of pipelines stored it, and stored alike?"""

from clients.storage.keys import owner_index_key
from clients.storage.port import Container
from clients.storage.sqlite.store import SqliteStore
from domain.identity.owners import Owner
from domain.pipelines.event_run import EventRun
from state.pipelines.event_runs import EventRuns, dead_id
from tests.fakes.clocks import FakeClock
from tests.frozen.documents import frozen, insert

EVENT = frozen(Container.TURNS, "pipeline_event")
APP = Owner(tenant="tenant-1", subject="app:shop")


async def test_a_dead_event_is_found_and_read(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "pipeline_event", "dead_event")
    runs = EventRuns(store, clock)
    (run,) = (await runs.dead(APP, "tickets", after="", limit=5)).found
    assert run == await runs.find(APP, EVENT.id)
    assert (run.id, dead_id(run), run.owner) == (EVENT.id, frozen(Container.TURNS, "dead_event").id, APP)
    assert run.response == f"resp_{'d' * 24}{(1800000000 * 1000):012x}{run.response[-12:]}"


async def test_a_dead_event_that_is_sent_again_leaves_no_entry(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "pipeline_event", "dead_event")
    runs = EventRuns(store, clock)
    (run,) = (await runs.dead(APP, "tickets", after="", limit=5)).found
    await runs.change(run, EventRun.again)
    assert await store.list(owner_index_key(APP), prefix="dead_", limit=5) == []


def test_an_event_is_stored_alike() -> None:
    assert EventRun.from_document(EVENT.body).to_document() == EVENT.body

"""Is a batch read as the first release of batches stored it, and stored alike?"""

from clients.storage.port import Container
from clients.storage.sqlite.store import SqliteStore
from domain.batches.batch import Batch
from domain.batches.line_ids import response_id_of
from domain.batches.start_time import StartDecision
from domain.batches.totals import BatchTotals
from state.batches.batch_store import BatchStore, input_id, listed_id
from state.batches.line_store import LineStore
from state.batches.pauses import BatchPauses
from tests.fakes.clocks import FakeClock
from tests.frozen.documents import as_json, frozen, insert
from tests.frozen.objects import OWNER

BATCH = frozen(Container.TURNS, "batch")
LINES = ("batch_chunk", "batch_errors", "batch_line", "batch_row", "batch_tally", "batch_run", "batch_pause")


async def test_a_batch_is_listed_and_read(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "batch", "listed_batch", "batch_input")
    batches = BatchStore(store, clock)
    (found,) = (await batches.page(OWNER, after="", limit=5)).found
    assert found == await batches.read(OWNER, BATCH.id)
    assert (await batches.active(before=clock.now() + 1)) == (found,)
    assert await batches.reads_file(OWNER, found.request.input_file)


async def test_what_is_known_of_its_lines_is_read(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, *LINES)
    lines, batch = LineStore(store, clock), Batch.from_document(BATCH.body)
    one = BatchTotals(completed=1, input_tokens=10, cached_tokens=2, output_tokens=5, reasoning_tokens=1)
    assert await lines.bounds(batch, 0) == (0, 100, 210)
    assert [each["code"] for each in await lines.errors(batch)] == ["invalid_json"]
    assert await lines.rows(batch, 0) == {0: ('{"id":"batch_req_1"}', one)}
    assert await lines.totals(batch) == one + one
    run = await lines.run(batch, 1)
    assert run is not None
    assert run.body["request"]["response"] == response_id_of(batch, 1)
    assert await BatchPauses(store, clock).reason(batch) == "Your budget for the day is used up."


def test_a_batch_is_written_as_it_was() -> None:
    batch = Batch.from_document(BATCH.body)
    assert (batch.id, as_json(batch.to_document())) == (BATCH.id, BATCH.body)
    assert listed_id(batch) == frozen(Container.TURNS, "listed_batch").id
    assert input_id(batch) == frozen(Container.TURNS, "batch_input").id


def test_the_choice_of_a_start_is_read_and_written_as_it_was() -> None:
    body = {
        "starts": True,
        "reason": "latest_start",
        "latest_start": 1764400000.0,
        "backend": "gpu-l4",
        "costs": {"gpu-l4": "0.25", "api": "0.40"},
        "break_even": 12,
        "lines": 100,
        "together": 160,
    }
    assert as_json(StartDecision.from_document(body).to_document()) == body


def test_the_totals_of_lines_are_read_and_written_as_they_were() -> None:
    body = {
        "completed": 2,
        "failed": 1,
        "input_tokens": 10,
        "cached_tokens": 2,
        "output_tokens": 5,
        "reasoning_tokens": 1,
    }
    assert BatchTotals.from_document(body).to_document() == body

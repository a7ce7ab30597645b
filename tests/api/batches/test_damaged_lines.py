"""Does a batch end whatever document of its lines is damaged, and does the line say so?"""

from copy import replace

import pytest

from clients.orchestrations import wire_of_batch
from domain.batches.batch import Batch
from state.batches.line_store import lines_key
from tests.api.batches.jobs import line, rows
from tests.api.batches.test_left_behind import checked, held, run
from tests.api.harness import Api, api
from tests.fakes.stores import MemoryStore

DAMAGE = {"no JSON": b"no JSON", "no field": b"{}", "another type": b'{"text": 5, "completed": "1"}'}


async def ran(one: Api, lines: int = 3) -> Batch:
    """Return a batch all of whose lines have ended, before its results are written."""
    batch = await checked(one, await held(one, [line(number) for number in range(lines)]))
    for number in range(lines):
        await one.world.app.batches.run_line.run({**wire_of_batch(batch), "line": number})
    return batch


def damage(one: Api, batch: Batch, prefix: str, data: bytes = b"no JSON") -> None:
    store, key = one.world.store, lines_key(batch)
    assert isinstance(store, MemoryStore)
    found = {name: row for name, row in store.rows(key).items() if name.startswith(prefix)}
    assert found
    for name, row in found.items():
        store.put(key, name, replace(row, data=data))


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("prefix", ["row_00000_01", "done_00000_01"])
async def test_a_line_whose_result_is_damaged_has_failed_and_the_batch_ends(prefix: str, data: bytes) -> None:
    one = api()
    batch = await ran(one)
    damage(one, batch, prefix, data)
    assert (await one.http.get(f"/v1/batches/{batch.id}")).status_code == 200
    done = await run(one, batch)
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 3, "completed": 2, "failed": 1})
    assert [each["custom_id"] for each in await rows(one, done["output_file_id"])] == ["line-0", "line-2"]
    (failed,) = await rows(one, done["error_file_id"])
    assert (failed["custom_id"], failed["response"], failed["error"]["code"]) == ("line-1", None, "damaged_record")
    assert "damaged" in failed["error"]["message"]


async def test_a_damaged_tally_is_none() -> None:
    one = api()
    batch = await ran(one)
    await one.world.app.state.batches.lines.tally(batch, 0)
    damage(one, batch, "tally_")
    counts = (await one.http.get(f"/v1/batches/{batch.id}")).json()["request_counts"]
    assert counts == {"total": 3, "completed": 3, "failed": 0}
    assert (await run(one, batch))["request_counts"] == counts


async def test_lines_fail_whose_place_in_the_file_is_damaged() -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0), line(1)]))
    damage(one, batch, "chunk_")
    done = await run(one, batch)
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 2, "completed": 0, "failed": 2})
    messages = [each["error"]["message"] for each in await rows(one, done["error_file_id"])]
    assert [each.endswith("outside of its turn: DamagedRecord.") for each in messages] == [True, True]


@pytest.mark.parametrize("prefix", ["chunk_", "run_"])
async def test_a_batch_expires_whose_lines_are_damaged(prefix: str) -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0)], metadata={"window_s": "60"}))
    await one.world.app.state.batches.lines.save_run(batch, 0, {"request": {"response": "resp_1"}})
    damage(one, batch, prefix)
    one.world.clock.advance(61)
    done = await run(one, batch)
    assert (done["status"], done["request_counts"]["failed"]) == ("expired", 1)

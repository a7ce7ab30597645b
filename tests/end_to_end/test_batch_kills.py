"""Is each line of a batch answered and paid once, and are its files whole, wherever the worker is killed?"""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest

from tests.end_to_end.books import ALICE, books_of
from tests.end_to_end.callers import calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.test_batches import ended, lines_of, rows_of, start_batch, texts
from tests.end_to_end.test_crashes import CrashingCluster, crashing_cluster

pytestmark = [pytest.mark.campaign, pytest.mark.long]

UPLOAD = ("create expiry", "create thread", "create bytes", "create file", "replace expiry")
CHECK = ("create batch", "create chunk", "replace batch", "create start")
LINE = (
    "create reservation",
    "create resp",
    "create route",
    "create fence",
    "create attempt",
    "create text",
    "create outcome",
    "replace attempt",
    "create end",
    "replace reservation",
    "create row",
)
END = ("create tally", "delete expiry", "delete chunk")
LENGTH = 40
LINES = 4


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashingCluster]:
    with crashing_cluster(tmp_path_factory.mktemp("app"), hasty(tmp_path_factory.mktemp("crashing"))) as one:
        yield one


@pytest.fixture
async def scene(crashing: CrashingCluster) -> AsyncIterator[Scene]:
    async with calling(crashing.cluster) as caller, books_of(crashing.cluster.data) as books:
        await books.forget_backend_states()
        yield Scene(cluster=crashing.cluster, caller=caller, books=books)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*UPLOAD, *CHECK, *LINE, *END])
async def test_each_line_has_one_turn_that_is_paid_once(
    scene: Scene, crashing: CrashingCluster, step: str, when: str
) -> None:
    sdk = scene.caller.sdk(max_retries=30)  # the SDK repeats its requests by itself
    known = {each.id async for each in sdk.batches.list(limit=100)}
    lines = lines_of([f"COUNT {LENGTH}"] * LINES)
    await crashing.crash_at(step, when)
    batch = await start_batch(sdk, lines)
    done = await ended(sdk, batch)
    await crashing.crashed()
    assert (done.status, done.error_file_id) == ("completed", None)
    assert {each.id async for each in sdk.batches.list(limit=100)} - known == {batch.id}
    rows = await rows_of(sdk, done.output_file_id)
    assert [each["custom_id"] for each in rows] == [each["custom_id"] for each in lines]
    assert {texts(each) for each in rows} == {counted(LENGTH)}
    await scene.books.quiet(scene.caller)
    cost = Decimal(0)
    for each, row in zip(lines, rows, strict=True):
        body = row["response"]["body"]
        assert await scene.books.responses(each["body"]) == [body["id"]]
        assert await scene.books.left_open(body["id"]) == []
        assert (await scene.caller.http.get(f"/v1/responses/{body['id']}")).json() == body
        attempts = await scene.books.ledger.attempts(ALICE, body["id"])
        cost += sum((record.charge.cost or Decimal(0) for record in attempts), Decimal(0))
    route = (await scene.caller.http.get(f"/v1/batches/{batch.id}/route")).json()
    assert Decimal(route["cost"]["total_usd"]) == round(cost, 9)

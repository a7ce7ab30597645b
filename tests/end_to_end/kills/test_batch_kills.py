"""Is each line of a batch answered and paid once, and are its files whole, wherever the worker is killed?"""

from decimal import Decimal

import pytest

from tests.end_to_end.books import ALICE
from tests.end_to_end.callers import counted
from tests.end_to_end.conftest import Scene
from tests.end_to_end.kills.crashing_clusters import CrashingCluster
from tests.end_to_end.requests.test_batches import ended, lines_of, rows_of, start_batch, texts

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


@pytest.fixture
def scene(crashing_scene: Scene) -> Scene:
    return crashing_scene


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

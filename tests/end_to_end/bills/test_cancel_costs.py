"""Does a cancelled turn pay for all that its model wrote, and for hardly more?

The model's own count of written tokens is the reference. `TEST_CANCELS` sets the number of cancels at each speed.
"""

import asyncio
import os
from copy import replace
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import StoreKind
from tests.end_to_end.books import ALICE, books_of
from tests.end_to_end.callers import asking, calling
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.stores.cosmos_books import cosmos_books_of
from tests.end_to_end.test_cancel import begun, closed
from tests.fakes.servers.cosmos import local_cosmos

CANCELS = int(os.environ.get("TEST_CANCELS", "6"))
LENGTH, LIMIT = 9000, 12_000
LONGEST_S = 1.5
MARGIN_TOKENS, MARGIN_SHARE = 16, 0.02


@dataclass(frozen=True, slots=True)
class Comparison:
    """Output tokens of one cancelled turn: as the model wrote them, and as the ledger has them."""

    written: int
    booked: int


async def cancelled_after(scene: Scene, seconds: float, body: dict[str, object]) -> Comparison:
    reading = await begun(scene.caller, body, events=4)
    await asyncio.sleep(seconds)
    answer = await scene.caller.cancel(reading.id)
    assert answer.status_code == 200, answer.text
    written = (await closed(scene.caller, body, "scripted"))["tokens"]
    await scene.books.settled(scene.caller, reading.id)
    attempts = await scene.books.ledger.attempts(ALICE, reading.id)
    return Comparison(written, sum(each.progress.usage.output_tokens for each in attempts if each.progress.usage))


CASES = [pytest.param(rate, "sqlite") for rate in (20, 500, 5000)] + [
    pytest.param(500, "cosmos"),
    pytest.param(20, "cosmos", marks=pytest.mark.long),
    pytest.param(5000, "cosmos", marks=pytest.mark.long),
]


@pytest.mark.campaign
@pytest.mark.parametrize(("rate", "store"), CASES)
async def test_cancelled_turns_pay_for_what_the_model_wrote(
    tmp_path: Path, random: Random, monkeypatch: pytest.MonkeyPatch, rate: int, store: StoreKind
) -> None:
    if store == "cosmos":
        local_cosmos()
    with LocalCluster(replace(hasty(tmp_path, rate=rate), store=store)) as cluster:
        opened = cosmos_books_of(cluster, monkeypatch) if store == "cosmos" else books_of(cluster.data)
        async with calling(cluster) as caller, opened as books:
            scene = Scene(cluster=cluster, caller=caller, books=books)
            found = [
                await cancelled_after(
                    scene, random.uniform(0.05, LONGEST_S), asking(f"COUNT {LENGTH + number}", max_output_tokens=LIMIT)
                )
                for number in range(CANCELS)
            ]
    assert len(found) == CANCELS
    assert sum(each.booked for each in found) >= sum(each.written for each in found), found
    assert sum(each.booked for each in found) <= (1 + MARGIN_SHARE) * sum(each.written for each in found), found
    beyond = [each for each in found if each.booked > each.written + max(MARGIN_TOKENS, MARGIN_SHARE * each.written)]
    assert beyond == []

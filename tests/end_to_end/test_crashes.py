"""Is nothing lost, repeated or left behind where the product dies exactly between two of its steps?"""

import asyncio
import json
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from copy import replace
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.paths import ROOT
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Json, Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.packages import publish
from tests.end_to_end.waiting import eventually

LENGTH = 60
FOLLOWED_S = 60
DEATHS_OF_A_HOST = 3
"""After so many quick deaths of its worker a host is started anew, which restarts its next worker at once."""

ADMISSION = ("create claim", "create reservation", "create resp", "start")
TURN = (
    "replace resp",
    "create route",
    "create fence",
    "create attempt",
    "create text",
    "create outcome",
    "replace attempt",
    "create end",
    "replace reservation",
)
OFTEN = {
    ("create reservation", "after"),
    ("create resp", "after"),
    ("create outcome", "before"),
    ("create end", "after"),
}


def crashes(steps: Sequence[str]) -> list[object]:
    found = [(step, when) for step in steps for when in ("before", "after")]
    return [pytest.param(*each, marks=[] if each in OFTEN else [pytest.mark.campaign]) for each in found]


@dataclass(slots=True, kw_only=True)
class CrashingCluster:
    """A cluster whose worker dies where it is told to."""

    cluster: LocalCluster
    deaths: int = 0

    @property
    def order(self) -> Path:
        return self.cluster.data / "crash.json"

    async def crash_at(self, step: str, when: str) -> None:
        self.deaths += 1
        if self.deaths > DEATHS_OF_A_HOST:
            self.deaths = 1
            await asyncio.to_thread(self.cluster.restart_host)
        self.order.write_text(json.dumps([step, when]))

    async def crashed(self) -> None:
        async def look() -> bool | None:
            return None if self.order.exists() else True

        await eventually(look, what="the crash")


@contextmanager
def crashing_cluster(app: Path, options: ClusterOptions) -> Generator[CrashingCluster]:
    """Publish the product to the folder `app`, with a worker that can be made to die, and start it."""
    publish(ROOT, app)
    (app / "function_app.py").rename(app / "product.py")
    (app / "function_app.py").write_bytes(Path(__file__).with_name("crashing.py").read_bytes())
    with LocalCluster(replace(options, app=app)) as cluster:
        yield CrashingCluster(cluster=cluster)


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashingCluster]:
    with crashing_cluster(tmp_path_factory.mktemp("app"), hasty(tmp_path_factory.mktemp("crashing"))) as one:
        yield one


@pytest.fixture
async def scene(crashing: CrashingCluster) -> AsyncIterator[Scene]:
    async with calling(crashing.cluster) as caller, books_of(crashing.cluster.data) as books:
        await books.forget_backend_states()
        yield Scene(cluster=crashing.cluster, caller=caller, books=books)


async def calls(scene: Scene, body: Json) -> int:
    return len(await scene.caller.model_calls(body))


async def survived(
    scene: Scene, crashing: CrashingCluster, crash: tuple[str, str], length: int
) -> tuple[Json, Reading]:
    """Follow a turn whose worker dies at a step; return its body and what was read: all of it, once, and settled."""
    body = asking(f"COUNT {length}")
    await crashing.crash_at(*crash)
    async with asyncio.timeout(FOLLOWED_S):
        reading = await scene.caller.follow(body)
    await crashing.crashed()
    await scene.books.assert_exact(reading, counted(length))
    await scene.books.quiet(scene.caller)
    await scene.books.settled(scene.caller, reading.id)
    return body, reading


@pytest.mark.parametrize(("step", "when"), crashes((*ADMISSION, *TURN)))
async def test_a_caller_that_repeats_itself_gets_one_whole_turn(
    scene: Scene, crashing: CrashingCluster, step: str, when: str
) -> None:
    body, reading = await survived(scene, crashing, (step, when), LENGTH)
    assert await scene.books.responses(body) == [reading.id]
    assert 1 <= await calls(scene, body) <= 1 + (step in TURN)


@pytest.mark.parametrize(("step", "when"), crashes(ADMISSION))
async def test_a_caller_that_never_comes_back_leaves_nothing_behind(
    scene: Scene, crashing: CrashingCluster, step: str, when: str
) -> None:
    body = asking(f"COUNT {LENGTH}", background=True)
    await crashing.crash_at(step, when)
    try:
        answer = await scene.caller.create(body)
    except httpx.TransportError:
        answer = None
    assert answer is None or answer.status_code == 502
    await crashing.crashed()
    await scene.books.quiet(scene.caller)
    admitted = await scene.books.responses(body)
    assert len(admitted) == ((step, when) in ADMITTED)
    assert await calls(scene, body) == len(admitted)
    for response_id in admitted:
        await scene.books.assert_log(response_id, counted(LENGTH))
        await scene.books.settled(scene.caller, response_id)


async def test_usage_is_what_the_turns_cost_after_kills_of_worker_and_host(
    scene: Scene, crashing: CrashingCluster
) -> None:
    """Of all turns of this module so far, and of two more, whatever died around them."""
    await crashing.crash_at("replace attempt", "after")
    readings = [await scene.caller.follow(asking(f"COUNT {LENGTH}"))]
    await crashing.crashed()
    following = asyncio.create_task(scene.caller.follow(asking(f"COUNT {LENGTH}")))
    await asyncio.to_thread(crashing.cluster.kill_host_and_worker)
    await asyncio.to_thread(crashing.cluster.restart_host)
    readings.append(await following)
    await scene.books.quiet(scene.caller)
    for reading in readings:
        await scene.books.settled(scene.caller, reading.id)
    turns = (await scene.caller.http.get("/v1/turns", params={"limit": 100})).json()
    assert not turns["has_more"]
    spent = sum(Decimal(turn["cost_usd"]) for turn in turns["data"])
    assert spent > 0
    for by in ("cause", "hour", "day,cause"):
        usage = (await scene.caller.http.get("/v1/usage", params={"group_by": by, "limit": 100})).json()
        assert sum(Decimal(row["cost_usd"]) for row in usage["data"]) == spent, by


ADMITTED = {("create resp", "after"), ("start", "before"), ("start", "after")}
"""The crashes after which the turn exists, so that the sweep runs it."""

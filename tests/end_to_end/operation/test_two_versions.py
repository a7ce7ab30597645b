"""Do two versions of the app share one task hub and one store while streams run, with either strategy of update?"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from copy import replace
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.cluster.run_record import is_alive
from standins.paths import ROOT
from tests.checks import every
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Caller, Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.operation.packages import publish
from tests.end_to_end.waiting import eventually

pytestmark = [pytest.mark.campaign, pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(300)]

STREAMS, LENGTH, RATE = 6, 600, 15.0
"""An answer takes 40 s, and the second version has to load within them."""

BEGUN = 8
FOLLOWED_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Two published versions of the app, and the link that says which one is deployed."""

    folder: Path

    @property
    def link(self) -> Path:
        return self.folder / "wwwroot"

    def deploy(self, release: str) -> None:
        target = self.folder / release
        if not target.exists():
            publish(ROOT, target)
            (target / "release.txt").write_text(f"{release}\n", encoding="utf-8")
        fresh = self.folder / "fresh"
        fresh.symlink_to(target)
        fresh.replace(self.link)


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    made = Deployment(folder=tmp_path / "versions")
    made.folder.mkdir()
    made.deploy("one")
    return made


@pytest.fixture
def cluster(tmp_path: Path, deployment: Deployment) -> Iterator[LocalCluster]:
    options = hasty(tmp_path / "data", rate=RATE)
    with LocalCluster(replace(options, app=deployment.link)) as running:
        yield running


@pytest.fixture
async def scene(cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(cluster) as caller, books_of(cluster.data) as books:
        yield Scene(cluster=cluster, caller=caller, books=books)


async def begun(caller: Caller) -> list[Reading]:
    """Begin turns and read the first words of each."""
    readings = [Reading(body={**asking(f"COUNT {LENGTH}"), "stream": True}) for _ in range(STREAMS)]
    await asyncio.gather(*(caller.follow_on(each, until=BEGUN) for each in readings))
    return readings


def reopened(readings: Sequence[Reading]) -> Callable[[], Awaitable[bool | None]]:
    async def look() -> bool | None:
        return True if all(len(each.events) > BEGUN for each in readings) else None

    return look


async def release(caller: Caller) -> str:
    return (await caller.http.get("/readyz")).json()["release"]


async def whole(scene: Scene, readings: Sequence[Reading]) -> None:
    for each in readings:
        await scene.books.assert_exact(each, counted(LENGTH))
        await scene.books.settled(scene.caller, each.id)


async def test_with_a_rolling_update_no_reader_sees_a_gap(scene: Scene, deployment: Deployment) -> None:
    readings = await begun(scene.caller)
    assert await release(scene.caller) == "one"
    old, host = scene.cluster.worker_pid, scene.cluster.running_host().pid
    async with asyncio.timeout(FOLLOWED_S), asyncio.TaskGroup() as group:
        following = [group.create_task(scene.caller.follow_on(each)) for each in readings]
        await eventually(reopened(readings), what="all streams of the first version")
        deployment.deploy("two")
        os.kill(host, signal.SIGHUP)
        await asyncio.to_thread(scene.cluster.wait_worker, old)
        assert await release(scene.caller) == "two"
        assert is_alive(old)
        assert not any(task.done() for task in following)
        fresh = await scene.caller.follow(asking("COUNT 5"))
        await scene.books.assert_exact(fresh, counted(5))
    assert [(each.breaks, each.clean) for each in readings] == [(0, 0)] * STREAMS
    await whole(scene, readings)

    async def old_worker_ended() -> bool | None:
        return None if is_alive(old) else True

    await eventually(old_worker_ended, what="the end of the worker of the first version")
    assert scene.cluster.running_host().pid == host


async def test_when_it_is_recreated_each_stream_breaks_once_and_resumes(scene: Scene, deployment: Deployment) -> None:
    readings = await begun(scene.caller)
    first_reads = [asyncio.create_task(read_until_it_breaks(scene.caller, each)) for each in readings]
    await eventually(reopened(readings), what="all streams of the first version")
    deployment.deploy("two")
    await asyncio.to_thread(scene.cluster.kill_host_and_worker)
    await asyncio.gather(*first_reads)
    assert every(not each.done for each in readings)
    await asyncio.to_thread(scene.cluster.restart_host)
    assert await release(scene.caller) == "two"
    async with asyncio.timeout(FOLLOWED_S):
        await asyncio.gather(*(scene.caller.read_once(each, None) for each in readings))
    assert every(each.done for each in readings)
    await whole(scene, readings)


async def read_until_it_breaks(caller: Caller, reading: Reading) -> None:
    try:
        await caller.read_once(reading, None)
    except httpx.TransportError:
        return

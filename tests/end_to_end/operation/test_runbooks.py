"""Do the runbooks of docs/runbooks.md that one machine can try do what they say?"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from copy import replace
from pathlib import Path

import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.waiting import eventually

SLOW = 25.0
FOLLOWED_S = 60
SILENT_S = "2"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    with LocalCluster(hasty(tmp_path, rate=SLOW, GANGLION_SWEEP_SILENT_S=SILENT_S)) as running:
        yield running


@pytest.fixture
async def blue(cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(cluster) as caller, books_of(cluster.data) as books:
        yield Scene(cluster=cluster, caller=caller, books=books)


def lose_the_hub(cluster: LocalCluster) -> None:
    cluster.kill_host_and_worker()
    for file in cluster.data.glob("hub.db*"):
        file.unlink()
    cluster.restart_host()


async def test_after_a_lost_hub_queued_turns_run_and_running_ones_fail_with_their_text(blue: Scene) -> None:
    running = Reading(body={**asking("COUNT 1000"), "stream": True})
    await blue.caller.follow_on(running, until=12)
    queued = asking("COUNT 12")
    admitted = await blue.books.admit(queued)
    await asyncio.to_thread(lose_the_hub, blue.cluster)
    await blue.books.quiet(blue.caller, within_s=60)
    lost = await blue.caller.poll(running.id)
    assert (lost["status"], lost["error"]["code"]) == ("failed", "server_error")
    assert lost["output"][0]["content"][0]["text"].startswith(running.text)
    await blue.books.assert_log(admitted.id, counted(12))
    assert len(await blue.caller.model_calls(queued)) == 1
    after = await blue.caller.follow(asking("COUNT 5"))
    await blue.books.assert_exact(after, counted(5))


def green_beside(blue: LocalCluster, folder: Path) -> LocalCluster:
    """Return a second app with a hub of its own over the store of the first one."""
    shared = {
        name: value
        for name, value in blue.environment().items()
        if name == "GANGLION_DATA" or name.startswith("GANGLION_TOKEN_")
    }
    options = hasty(folder)
    return LocalCluster(replace(options, environment={**options.environment, **shared}))


async def test_a_reader_moves_from_blue_to_green_without_a_gap_and_blue_drains(blue: Scene, tmp_path: Path) -> None:
    reading = Reading(body={**asking("COUNT 100"), "stream": True})
    await blue.caller.follow_on(reading, until=12)
    with ExitStack() as stack:
        green = await asyncio.to_thread(stack.enter_context, green_beside(blue.cluster, tmp_path / "green"))
        async with calling(green, blue.caller.token) as caller, asyncio.timeout(FOLLOWED_S):
            await caller.sweep()
            fresh = await caller.follow(asking("COUNT 5"))
            await blue.books.assert_exact(fresh, counted(5))
            await caller.follow_on(reading)
            await blue.books.assert_exact(reading, counted(100))

            async def drained() -> bool | None:
                left = (await caller.http.get("/v1/turns", params={"status": "in_progress"})).json()["data"]
                return None if left else True

            await eventually(drained, what="blue without a turn")
            await asyncio.to_thread(blue.cluster.kill_host_and_worker)
            last = await caller.follow(asking("COUNT 7"))
            await blue.books.assert_exact(last, counted(7))
            assert (await caller.poll(reading.id))["status"] == "completed"

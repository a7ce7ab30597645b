"""Can a worker that outlived its host still write into a turn that another worker has taken over?"""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from copy import replace
from pathlib import Path

import pytest

from domain.log.events import EventKind
from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import ALICE, books_of
from tests.end_to_end.callers import AFRESH, PINNED, Json, Reading, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.waiting import eventually

SLOW = 12.5
LENGTH = 60
LONG = 1000
"""The first host's models would take 80 s for it: a second host is up long before, on a busy machine too."""

FASTER = 500.0
FOLLOWED_S = 60


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def lonely_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(hasty(tmp_path_factory.mktemp("lonely"), rate=SLOW)) as cluster:
        yield cluster


@pytest.fixture
async def lonely(lonely_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(lonely_cluster) as caller, books_of(lonely_cluster.data) as books:
        yield Scene(cluster=lonely_cluster, caller=caller, books=books)


def second_host(first: LocalCluster, folder: Path) -> LocalCluster:
    """Return a host with models of its own over a copy of the first one's durable state and over its very store."""
    folder.mkdir()
    with sqlite3.connect(first.data / "hub.db") as source, sqlite3.connect(folder / "hub.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    shared = {
        name: value
        for name, value in first.environment().items()
        if name == "GANGLION_DATA" or name.startswith("GANGLION_TOKEN_")
    }
    options = hasty(folder, rate=FASTER)
    return LocalCluster(replace(options, environment={**options.environment, **shared}))


async def begun(scene: Scene, body: Json, *, events: int) -> Reading:
    reading = Reading(body={**body, "stream": True})
    await scene.caller.follow_on(reading, until=events)
    return reading


async def closed_call(scene: Scene, body: Json, model: str) -> Json:
    async def look() -> Json | None:
        [call] = await scene.caller.model_calls(body, model)
        return call if call["how"] else None

    return await eventually(look, within_s=90, what="the end of the orphan's call")


@pytest.mark.parametrize(("model", "backend"), [(PINNED, "scripted"), (AFRESH, "scripted-afresh")])
async def test_an_orphan_that_still_streams_stops_at_the_first_slot_of_its_successor(
    lonely: Scene, tmp_path: Path, model: str, backend: str
) -> None:
    body = asking(f"COUNT {LONG}", model)
    reading = await begun(lonely, body, events=12)
    host = lonely.cluster.host_state()["host_pid"]
    os.kill(host, signal.SIGSTOP)
    with ExitStack() as stack:
        stack.callback(os.kill, host, signal.SIGCONT)
        second = await asyncio.to_thread(stack.enter_context, second_host(lonely.cluster, tmp_path / "second"))
        call = await closed_call(lonely, body, backend)
        assert call["how"] == "client-closed"
        assert call["tokens"] < LONG
        async with calling(second, lonely.caller.token) as caller, asyncio.timeout(FOLLOWED_S):
            await caller.follow_on(reading)
            await lonely.books.assert_exact(reading, counted(LONG))
            await lonely.books.settled(caller, reading.id)
            assert len(await caller.model_calls(body, backend)) == 1
    slots = await lonely.books.turns.slots(ALICE, reading.id)
    await lonely.caller.orchestration_ended(reading.id)
    assert await lonely.books.turns.slots(ALICE, reading.id) == slots
    assert await lonely.books.left_open(reading.id) == []
    [attempt] = (await lonely.caller.report(reading.id))["attempts"]
    assert attempt["result"] == "done"


async def test_a_worker_that_was_stopped_ends_when_it_wakes_without_its_host(lonely: Scene) -> None:
    reading = await begun(lonely, asking(f"COUNT {LENGTH}"), events=12)
    orphan = lonely.cluster.worker_pid
    os.kill(orphan, signal.SIGSTOP)
    lonely.cluster.kill_host()
    await asyncio.to_thread(lonely.cluster.restart_host)
    os.kill(orphan, signal.SIGCONT)
    async with asyncio.timeout(FOLLOWED_S):
        await lonely.caller.follow_on(reading)

    async def gone() -> bool | None:
        return None if exists(orphan) else True

    await eventually(gone, what="the end of the orphan")
    await lonely.books.assert_exact(reading, counted(LENGTH))
    await lonely.books.settled(lonely.caller, reading.id)


async def test_a_worker_that_was_only_stopped_goes_on_where_it_was(lonely: Scene) -> None:
    reading = await begun(lonely, asking(f"COUNT {LENGTH}"), events=12)
    worker = lonely.cluster.worker_pid
    os.kill(worker, signal.SIGSTOP)
    await asyncio.sleep(1)
    os.kill(worker, signal.SIGCONT)
    async with asyncio.timeout(FOLLOWED_S):
        await lonely.caller.follow_on(reading)
    await lonely.books.assert_exact(reading, counted(LENGTH))
    slots = await lonely.books.turns.slots(ALICE, reading.id)
    starts = [event for slot in slots for event in slot.events if event.kind is EventKind.ITEM_ADDED]
    assert len(starts) == 1

"""Is work that loses its worker counted, also over a restart, and run alone after two losses?"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devhost.engine.redeliveries import ISOLATE_AFTER, RedeliveryCounter
from devhost.engine.storage.database import StorageThread, connect
from devhost.engine.storage.store import TaskHubStore

LIMIT = 3


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[RedeliveryCounter]:
    database = connect(tmp_path / "hub.db")
    storage = StorageThread(asyncio.get_running_loop())
    storage.start()
    yield RedeliveryCounter(store=TaskHubStore(database), storage=storage, isolation_timeout_s=0.05)
    storage.stop()
    database.close()


async def lose(counter: RedeliveryCounter, identifier: str, times: int) -> None:
    for _ in range(times):
        await counter.record_loss(identifier, f"the work {identifier}")


async def test_losses_are_counted_and_forgotten_when_the_work_is_done(
    counter: RedeliveryCounter, capsys: pytest.CaptureFixture[str]
) -> None:
    await lose(counter, "i", 2)
    assert counter.counts == {"i": 2}
    written = capsys.readouterr()
    assert "the work i is delivered again (redelivery 2)" in written.out + written.err
    again = RedeliveryCounter(store=counter.store, storage=counter.storage)
    await again.recover()
    assert again.counts == {"i": 2}
    await counter.clear("i")
    await counter.clear("i")
    await again.recover()
    assert await counter.storage.run(counter.read) == []


async def test_work_fails_when_it_was_lost_more_often_than_allowed(counter: RedeliveryCounter) -> None:
    await lose(counter, "i", LIMIT)
    assert counter.limit_error("i", LIMIT, "work") is None
    await lose(counter, "i", 1)
    assert counter.limit_error("i", LIMIT, "work") == "the worker died 4 times while it ran"
    assert counter.limit_error("i", None, "work") is None
    assert counter.limit_error("j", LIMIT, "work") is None


async def held(counter: RedeliveryCounter, identifier: str, limit: int | None) -> bool:
    """Tell whether this work runs alone among such work."""
    async with counter.isolated(identifier, limit):
        return counter.isolation.locked()


async def test_only_work_that_was_lost_twice_runs_alone(counter: RedeliveryCounter) -> None:
    await lose(counter, "once", ISOLATE_AFTER - 1)
    await lose(counter, "twice", ISOLATE_AFTER)
    assert [await held(counter, name, LIMIT) for name in ("never", "once", "twice")] == [False, False, True]
    assert not await held(counter, "twice", None)
    assert not counter.isolation.locked()


async def test_a_suspect_does_not_wait_for_ever(counter: RedeliveryCounter) -> None:
    await lose(counter, "a", ISOLATE_AFTER)
    await lose(counter, "b", ISOLATE_AFTER)
    async with counter.isolated("a", LIMIT):
        async with counter.isolated("b", LIMIT):
            assert counter.isolation.locked()
        assert counter.isolation.locked()
    assert not counter.isolation.locked()

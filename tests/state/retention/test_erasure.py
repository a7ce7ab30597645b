"""Does an erasure remove everything of one owner alone, also after crashes and with requests in progress?"""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from clients.storage.keys import owner_index_key
from clients.storage.port import Document, DocumentKey
from domain.errors import GanglionError
from domain.identity.owners import Owner
from domain.turns.webhook_events import WebhookEndpoints
from state.retention.deletion import Retention
from state.retention.erasure import REQUEST_ID, ROUND_S, SETTLED_S
from state.turns.responses import TurnStore
from tests.fakes.stores import CrashError, Faults, FlakyStore
from tests.state.retention.test_deletion import OWNER, STRANGER, Archive


def threads_left(archive: Archive, owner: Owner) -> list[str]:
    """Return the partitions of an owner in which anything but emptied slots stands."""
    mine = [key for key in archive.store.partitions if key.parts[:2] == (owner.tenant, owner.subject)]
    kept = [key for key in mine for name in archive.store.rows(key) if not name.startswith("slot_")]
    return sorted({key.parts[2] for key in kept})


async def settled(archive: Archive) -> None:
    archive.clock.advance(SETTLED_S + 1)
    await archive.retention.clear_due()


@pytest.fixture
def archive() -> Archive:
    return Archive()


async def test_threads_are_cleared_at_once_and_the_index_later(archive: Archive) -> None:
    await archive.ended(await archive.turn())
    await archive.conversations.create(OWNER, metadata={})
    archive.clock.advance(1)
    await archive.retention.erasure.erase(OWNER)
    assert archive.left() == []
    theirs = await archive.turn(owner=STRANGER)
    assert threads_left(archive, OWNER) == ["book"]
    await settled(archive)
    assert threads_left(archive, OWNER) == []
    assert await archive.turns.read(STRANGER, theirs)


async def test_a_thread_that_begins_after_the_request_stays(archive: Archive) -> None:
    await archive.turn()
    archive.clock.advance(1)
    await archive.retention.erasure.erase(OWNER)
    archive.clock.advance(1)
    fresh = await archive.turn()
    await settled(archive)
    assert await archive.turns.read(OWNER, fresh)


async def test_a_request_that_was_in_progress_leaves_nothing(archive: Archive) -> None:
    """It had claimed its thread before the order, and writes its response behind it."""
    thread = archive.clock.token()
    claimed = f"resp_{thread}{archive.clock.token()}"
    await archive.turns.record_request(OWNER, key="k", body_hash="h", response_id=claimed, repeat=False)
    archive.clock.advance(1)
    await archive.retention.erasure.erase(OWNER)
    await archive.turn(thread=thread)
    assert archive.left()
    await settled(archive)
    assert archive.left() == []


async def test_a_repeated_request_erases_everything_until_then(archive: Archive) -> None:
    for _ in range(3):
        await archive.turn()
        archive.clock.advance(1)
        await archive.retention.erasure.erase(OWNER)
    await settled(archive)
    assert (archive.left(), threads_left(archive, OWNER)) == ([], [])
    await settled(archive)
    assert await archive.store.read(owner_index_key(OWNER), REQUEST_ID) is None


@pytest.mark.parametrize("seed", range(100))
async def test_an_erasure_that_dies_anywhere_is_completed(seed: int) -> None:
    archive = Archive()
    await archive.ended(await archive.turn())
    await archive.turn()
    await archive.conversations.create(OWNER, metadata={"about": "heron"})
    archive.clock.advance(1)
    ordered = False
    for life in range(40):
        rate = 0.2 if life < 30 else 0.0
        flaky = FlakyStore(archive.store, Random(seed * 50 + life), Faults(rate=rate))  # noqa: S311 - a test's seed
        retention = Retention(flaky, TurnStore(flaky, archive.clock, WebhookEndpoints()), archive.clock)
        archive.clock.advance(60)
        try:
            await (retention.clear_due() if ordered else retention.erasure.record_request(OWNER))
            ordered = True
        except (CrashError, GanglionError):
            continue
    await settled(archive)
    assert (archive.left(), threads_left(archive, OWNER)) == ([], [])


async def test_parallel_erasures_erase_once(archive: Archive) -> None:
    running = [await archive.turn() for _ in range(5)]
    archive.clock.advance(1)
    cancelled = await asyncio.gather(*(archive.retention.erasure.erase(OWNER) for _ in range(4)))
    assert {name for names in cancelled for name in names} == set(running)
    assert archive.left() == []


async def test_an_owner_of_very_many_threads_does_not_keep_the_timer_from_its_other_work(archive: Archive) -> None:
    """Each thread takes a second; what one round of the timer leaves over the next ones do."""
    for _ in range(100):
        await archive.turn()
    archive.clock.advance(1)
    await archive.retention.erasure.record_request(OWNER)
    slow = Retention(SlowStore(archive), archive.turns, archive.clock)
    rounds = 0
    while threads_left(archive, OWNER):
        began = archive.clock.now()
        await slow.clear_due()
        assert archive.clock.now() - began < 2 * ROUND_S
        archive.clock.advance(60)
        rounds += 1
    assert (archive.left(), rounds > 3) == ([], True)


class SlowStore(FlakyStore):
    """A store in which looking through a thread takes a second."""

    def __init__(self, archive: Archive) -> None:
        super().__init__(archive.store, Random(0))  # noqa: S311 - it draws nothing
        self.clock = archive.clock

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        self.clock.advance(0.5)
        return await super().list(key, prefix=prefix, after=after, limit=limit)

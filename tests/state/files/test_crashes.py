"""Is a file whole or absent wherever the process dies, and is what it left behind cleared?"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from copy import replace
from dataclasses import dataclass, field
from itertools import count

import pytest

from clients.storage.port import Document, DocumentKey, DocumentStore, Replace
from domain.errors import GanglionError, NotFound
from domain.files.stored_file import StoredFile
from domain.turns.webhook_events import WebhookEndpoints
from state.files.file_store import FileStore
from state.files.parts import PART_BYTES, file_document_id
from state.files.upload import ABANDONED_S, FileUpload
from state.retention.deletion import Retention
from state.time_index import LEFT_S
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

CONTENT = b"0123456789" * (PART_BYTES // 10 + 10)
"""A full part and a short one."""


@dataclass(slots=True)
class Shelf:
    """The files of one owner; each process over the store is another FileStore."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)

    async def upload(self, store: DocumentStore, *, keep_s: float | None = None, name: str = "a.txt") -> StoredFile:
        upload = FileUpload(FileStore(store, self.clock), OWNER)
        await upload.add(CONTENT[:100])
        await upload.add(CONTENT[100:])
        try:
            return await upload.complete(filename=name, purpose="user_data", keep_s=keep_s)
        except GanglionError:
            await upload.abandon()
            raise

    async def delete(self, store: DocumentStore) -> None:
        for stored in await self.found():
            await FileStore(store, self.clock).delete(OWNER, stored.id)

    async def sweep(self, store: DocumentStore) -> None:
        await Retention(store, TurnStore(store, self.clock, WebhookEndpoints()), self.clock).clear_due()

    async def found(self) -> tuple[StoredFile, ...]:
        return (await FileStore(self.store, self.clock).page(OWNER, purpose=None, after="", limit=10)).found

    def documents(self) -> list[str]:
        """Return what is stored and does not go by itself: the place of a deleted file in the list does."""
        return sorted(
            name for rows in self.store.partitions.values() for name, row in rows.items() if row.expires_at is None
        )


async def uploaded(shelf: Shelf, store: DocumentStore) -> None:
    await shelf.upload(store)


async def uploaded_again(shelf: Shelf, store: DocumentStore) -> None:
    await shelf.upload(shelf.store)
    await shelf.upload(store)


async def uploaded_after_expiry(shelf: Shelf, store: DocumentStore) -> None:
    await shelf.upload(shelf.store, keep_s=10)
    shelf.clock.advance(11)
    await shelf.upload(store)


async def deleted(shelf: Shelf, store: DocumentStore) -> None:
    await shelf.upload(shelf.store)
    await shelf.delete(store)


async def expired(shelf: Shelf, store: DocumentStore) -> None:
    await shelf.upload(shelf.store, keep_s=10)
    shelf.clock.advance(11)
    await shelf.sweep(store)


WORK: Mapping[str, Callable[[Shelf, DocumentStore], Awaitable[None]]] = {
    each.__name__: each for each in (uploaded, uploaded_again, uploaded_after_expiry, deleted, expired)
}


@pytest.mark.parametrize("fault", [Fault.CRASH_AFTER, Fault.LOST_AFTER, Fault.LOST_BEFORE])
@pytest.mark.parametrize("work", WORK)
async def test_a_file_is_whole_or_absent_wherever_the_work_breaks_off(work: str, fault: Fault) -> None:
    number = 0
    for number in count():
        shelf = Shelf()
        store = FlakyStore(shelf.store, shelf.clock.random, Faults(at={number: fault}))
        with suppress(CrashError, GanglionError):
            await WORK[work](shelf, store)
        await nothing_is_left_over(shelf, number)
        if not any(call.fault for call in store.calls):
            break
    assert number > 6


async def nothing_is_left_over(shelf: Shelf, case: object) -> None:
    """Let the timer clear what was broken off; the files that are found then are whole and all that is stored."""
    shelf.clock.advance(ABANDONED_S + 1)
    for _ in range(2):
        await shelf.sweep(shelf.store)
    found = await shelf.found()
    files = FileStore(shelf.store, shelf.clock)
    for stored in found:
        assert b"".join([each async for each in files.content(OWNER, stored, 0, stored.size)]) == CONTENT, case
    documents = [name for name in shelf.documents() if not name.startswith("expiry_")]
    assert len(documents) == (6 if found else 0), (case, documents)


async def test_an_upload_that_takes_long_is_not_cleared_while_it_is_at_work() -> None:
    shelf = Shelf()
    files = FileStore(shelf.store, shelf.clock)
    upload = FileUpload(files, OWNER)
    for _ in range(4):
        await upload.add(CONTENT)
        shelf.clock.advance(ABANDONED_S / 2 + 1)
        await shelf.sweep(shelf.store)
    stored = await upload.complete(filename="a.txt", purpose="batch_output", keep_s=None)
    assert b"".join([each async for each in files.content(OWNER, stored, 0, stored.size)]) == CONTENT * 4


async def test_a_deleted_file_is_not_found() -> None:
    shelf = Shelf()
    stored = await shelf.upload(shelf.store)
    await shelf.delete(shelf.store)
    with pytest.raises(NotFound):
        await FileStore(shelf.store, shelf.clock).read(OWNER, stored.id)
    assert shelf.documents() == []


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_the_list_goes_on_for_a_day_after_a_file_that_is_gone(*, is_deleted: bool) -> None:
    shelf = Shelf()
    first = await shelf.upload(shelf.store, name="first.txt")
    shelf.clock.advance(1)
    last = await shelf.upload(shelf.store, name="last.txt", keep_s=None if is_deleted else 10)
    files = FileStore(shelf.store, shelf.clock)
    if is_deleted:
        await files.delete(OWNER, last.id)
    else:
        shelf.clock.advance(11)
        assert (await files.page(OWNER, purpose=None, after=last.id, limit=10)).found == (first,)
        await shelf.sweep(shelf.store)
    shelf.clock.advance(LEFT_S - 1)
    assert (await files.page(OWNER, purpose=None, after=last.id, limit=10)).found == (first,)
    assert await shelf.found() == (first,)
    shelf.clock.advance(2)
    with pytest.raises(NotFound):
        await files.page(OWNER, purpose=None, after=last.id, limit=10)


async def test_the_list_goes_on_after_the_last_one_of_equal_files_that_are_gone() -> None:
    """The second one has the place of its own upload."""
    shelf = Shelf()
    stored = await shelf.upload(shelf.store)
    files = FileStore(shelf.store, shelf.clock)
    await files.delete(OWNER, stored.id)
    shelf.clock.advance(1)
    between = await shelf.upload(shelf.store, name="between.txt")
    shelf.clock.advance(1)
    again = await shelf.upload(shelf.store)
    assert again.id == stored.id
    await files.delete(OWNER, again.id)
    assert (await files.page(OWNER, purpose=None, after=again.id, limit=10)).found == (between,)


async def test_a_file_that_is_kept_longer_while_the_timer_looks_at_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf()
    stored = await shelf.upload(shelf.store, keep_s=10)
    shelf.clock.advance(11)
    read, name = shelf.store.read, file_document_id(stored.id)
    kept = replace(stored, expires_at=None)

    async def overtaken(key: DocumentKey, identifier: str) -> Document | None:
        found = await read(key, identifier)
        if found and identifier == name and found.read_as(StoredFile.from_document) != kept:
            await shelf.store.commit(key, (Replace(id=name, body=kept.to_document(), etag=found.etag),))
        return found

    monkeypatch.setattr(shelf.store, "read", overtaken)
    files = FileStore(shelf.store, shelf.clock)
    await files.settle(OWNER, stored.thread)
    assert await files.read(OWNER, stored.id) == kept
    assert b"".join([each async for each in files.content(OWNER, kept, 0, kept.size)]) == CONTENT


async def test_an_id_that_is_too_long_for_the_store_names_no_file() -> None:
    shelf = Shelf()
    store = FlakyStore(shelf.store, shelf.clock.random)
    with pytest.raises(NotFound):
        await FileStore(store, shelf.clock).read(OWNER, "a" * 2000)
    assert store.calls == []

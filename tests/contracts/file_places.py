"""What does every place keep that holds the contents of files? Each adapter runs this suite."""

from collections.abc import Awaitable, Callable
from copy import replace
from dataclasses import dataclass

import pytest

from clients.files.port import FileContents
from clients.storage.keys import turns_key
from clients.storage.port import DocumentStore
from domain.errors import NotFound, Unavailable
from domain.files.stored_file import StoredFile
from domain.turns.webhook_events import WebhookEndpoints
from state.files.file_store import FileStore
from state.files.places import FilePlaces
from state.files.upload import ABANDONED_S, FileUpload
from state.retention.deletion import Retention
from state.retention.erasure import SETTLED_S
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import OWNER

PARTS = 3
KEEP_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Shelf:
    """Files in one place. `left` counts the contents there, also those that nobody can read yet."""

    store: DocumentStore
    clock: FakeClock
    places: FilePlaces
    left: Callable[[], Awaitable[int]]

    @property
    def files(self) -> FileStore:
        return FileStore(self.store, self.clock, self.places)

    @property
    def contents(self) -> FileContents:
        return self.places.of(is_outside=self.places.outside is not None)

    @property
    def retention(self) -> Retention:
        turns = TurnStore(self.store, self.clock, WebhookEndpoints())
        return Retention(self.store, turns, self.clock, self.places)

    @property
    def content(self) -> bytes:
        """Two full parts and a part of a third, with every byte."""
        size = (PARTS - 1) * self.contents.part_bytes + 1000
        return (bytes(range(256)) * (size // 256 + 1))[:size]

    async def uploaded(self, content: bytes, name: str = "a.bin") -> StoredFile:
        upload = FileUpload(self.files, OWNER)
        for start in range(0, len(content), 60_000):
            await upload.add(content[start : start + 60_000])
        return await upload.complete(filename=name, purpose="user_data", keep_s=KEEP_S)

    async def read(self, stored: StoredFile, first: int, end: int) -> bytes:
        return b"".join([piece async for piece in self.files.content(OWNER, stored, first, end)])


class FilePlacesContract:
    """The suite; a subclass gives the fixture `shelf`."""

    async def test_a_file_is_kept_and_its_ranges_are_read(self, shelf: Shelf) -> None:
        content, size = shelf.content, shelf.contents.part_bytes
        stored = await shelf.uploaded(content)
        assert stored.outside is (shelf.places.outside is not None)
        assert await shelf.files.read(OWNER, stored.id) == stored
        for first, end in ((0, len(content)), (size - 1, size + 1), (len(content) - 1, len(content)), (5, 5)):
            assert await shelf.read(stored, first, end) == content[first:end]
        assert (await shelf.files.page(OWNER, purpose=None, after="", limit=10)).found == (stored,)
        await shelf.files.delete(OWNER, stored.id)
        assert (await shelf.files.page(OWNER, purpose=None, after="", limit=10)).found == ()
        assert await shelf.left() == 0

    async def test_an_empty_file_is_a_file(self, shelf: Shelf) -> None:
        stored = await shelf.uploaded(b"")
        assert await shelf.read(stored, 0, 0) == b""
        await shelf.files.delete(OWNER, stored.id)
        assert await shelf.left() == 0

    async def test_the_same_content_again_is_the_same_file_and_is_kept_once(self, shelf: Shelf) -> None:
        content = shelf.content
        first, again = await shelf.uploaded(content), await shelf.uploaded(content)
        assert (again.id, again.thread, await shelf.left()) == (first.id, first.thread, 1)
        assert await shelf.read(again, 0, len(content)) == content
        other = await shelf.uploaded(content, name="b.bin")
        assert (other.id != first.id, await shelf.left()) == (True, 2)

    async def test_a_broken_upload_leaves_nothing(self, shelf: Shelf) -> None:
        upload = FileUpload(shelf.files, OWNER)
        await upload.add(shelf.content)
        assert await shelf.left() == 1
        await upload.abandon()
        assert await shelf.left() == 0

    async def test_the_timer_clears_an_upload_whose_process_died(self, shelf: Shelf) -> None:
        await FileUpload(shelf.files, OWNER).add(shelf.content)
        assert await shelf.retention.clear_due() == 0
        shelf.clock.advance(ABANDONED_S + 1)
        assert await shelf.retention.clear_due() == 1
        assert await shelf.left() == 0

    async def test_an_upload_that_is_renewed_stays_while_nothing_is_added(self, shelf: Shelf) -> None:
        upload = FileUpload(shelf.files, OWNER)
        await upload.add(shelf.content)
        for _ in range(4):
            shelf.clock.advance(ABANDONED_S / 2)
            await upload.renew()
            await shelf.retention.clear_due()
        assert await shelf.left() == 1
        stored = await upload.complete(filename="slow.bin", purpose="user_data", keep_s=None)
        assert await shelf.read(stored, 0, stored.size) == shelf.content

    async def test_a_file_expires(self, shelf: Shelf) -> None:
        stored = await shelf.uploaded(shelf.content)
        shelf.clock.advance(KEEP_S + 1)
        with pytest.raises(NotFound):
            await shelf.files.read(OWNER, stored.id)
        await shelf.retention.clear_due()
        assert await shelf.left() == 0

    async def test_an_erasure_deletes_files_and_uploads_that_are_at_work(self, shelf: Shelf) -> None:
        await shelf.uploaded(shelf.content)
        await FileUpload(shelf.files, OWNER).add(shelf.content)
        assert await shelf.left() == 2
        await shelf.retention.erasure.erase(OWNER)
        assert await shelf.left() == 0

    async def test_an_erasure_finds_what_an_upload_completes_after_it(self, shelf: Shelf) -> None:
        upload = FileUpload(shelf.files, OWNER)
        await upload.add(shelf.content)
        await shelf.retention.erasure.erase(OWNER)
        await upload.add(shelf.content)
        try:
            await upload.complete(filename="late.bin", purpose="user_data", keep_s=None)
        except Unavailable:
            await upload.abandon()
        shelf.clock.advance(SETTLED_S + 1)
        await shelf.retention.clear_due()
        assert await shelf.left() == 0

    async def test_a_file_that_is_deleted_while_it_is_read_says_so(self, shelf: Shelf) -> None:
        stored = await shelf.uploaded(shelf.content)
        await shelf.files.delete(OWNER, stored.id)
        with pytest.raises(Unavailable, match="was deleted while it was read"):
            await shelf.read(stored, 0, stored.size)

    async def test_deleting_twice_is_deleting_once(self, shelf: Shelf) -> None:
        stored = await shelf.uploaded(shelf.content)
        key = turns_key(OWNER, stored.thread)
        await shelf.contents.delete(key)
        await shelf.contents.delete(key)
        assert await shelf.left() == 0

    async def test_contents_of_other_owners_are_apart(self, shelf: Shelf) -> None:
        stored = await shelf.uploaded(shelf.content)
        with pytest.raises(NotFound):
            await shelf.files.read(replace(OWNER, subject="user:other"), stored.id)
        other = turns_key(replace(OWNER, subject="user:other"), stored.thread)
        with pytest.raises(NotFound):
            await anext(aiter(shelf.contents.read(other, 0, 1)))

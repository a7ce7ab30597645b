"""How are files listed, read, kept until they expire, and deleted?

A file exists as soon as the owner's index has its document, and until that is deleted. Its content is written before
and deleted after it. An expiry document in the content's partition makes the timer look at the content: it clears what
no file names, so that neither a broken upload nor an interrupted deletion leaves anything.
"""

from collections.abc import AsyncIterator, Sequence

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged, compare_and_swap
from clients.storage.damage import readable
from clients.storage.keys import expiry_id, owner_index_key, thread_id, turns_key
from clients.storage.paging import list_all, write_batches
from clients.storage.port import Create, Delete, Document, DocumentKey, DocumentStore, Operation, Replace
from domain.errors import NotFound, Unavailable
from domain.files.stored_file import StoredFile
from domain.identity.owners import Owner
from state.files.document_contents import CLEARED_AT_ONCE
from state.files.parts import FILES, HEAD, LISTED, file_document_id, upload_id
from state.files.places import FilePlaces
from state.time_index import IndexPage, IndexRange, entry_of, left_behind, read_page, time_entry_id
from state.turns.expiry import expiry_operation

LONGEST_ID = 64


class FileStore:
    """Stores files. Every method is safe to repeat; none finds the file of another owner."""

    def __init__(self, store: DocumentStore, clock: Clock, places: FilePlaces | None = None) -> None:
        self.store = store
        self.clock = clock
        self.places = places or FilePlaces(store)

    async def read(self, owner: Owner, file_id: str) -> StoredFile:
        """Return a file; raises NotFound, also where it has expired."""
        found = await self.store.read(owner_index_key(owner), file_document_id(file_id)) if is_plain(file_id) else None
        stored = found.read_as(StoredFile.from_document) if found else None
        if stored is None or not stored.is_kept(self.clock.now()):
            raise NotFound.by_id("File", file_id)
        return stored

    async def page(self, owner: Owner, *, purpose: str | None, after: str, limit: int) -> IndexPage[StoredFile]:
        """Return files, newest first, after the file `after`; raises NotFound where there was none lately."""

        async def load(entry: Document) -> StoredFile | None:
            try:
                stored = await self.read(owner, entry.body["file"])
            except NotFound:
                return None
            return stored if purpose in (None, stored.purpose) else None

        wanted = IndexRange(prefix=LISTED, after=await self.entry(owner, after) if after else "")
        return await read_page(self.store, owner_index_key(owner), wanted, load, limit=limit)

    async def oldest(self, owner: Owner, *, purpose: str | None, after: str, limit: int) -> IndexPage[StoredFile]:
        """Return files, oldest first, as `page` does. All are read: the allowance of an owner limits them."""
        behind = await self.entry(owner, after) if after else ""
        kept = [each for each in await self.kept(owner) if purpose in (None, each.purpose)]
        chosen = [each for each in kept if not behind or listed_id(each) < behind]
        found = tuple(sorted(chosen, key=listed_id, reverse=True)[:limit])
        return IndexPage(found=found, more=len(chosen) > limit, last=found[-1].id if found else "")

    async def entry(self, owner: Owner, file_id: str) -> str:
        """Return the list's entry of a file; it stays for a while when the file is deleted. Raises NotFound."""
        try:
            return listed_id(await self.read(owner, file_id))
        except NotFound:
            found = await entry_of(self.store, owner_index_key(owner), LISTED, file_id)
            if not found:
                raise
            return found

    async def kept(self, owner: Owner) -> Sequence[StoredFile]:
        """Return all files of an owner that have not expired."""
        found = await list_all(self.store, owner_index_key(owner), prefix=FILES)
        stored = readable(found, lambda each: each.read_as(StoredFile.from_document))
        return [each for each in stored if each.is_kept(self.clock.now())]

    async def content(self, owner: Owner, stored: StoredFile, first: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `first` until before `end`; raises Unavailable where the file is deleted meanwhile."""
        contents = self.places.of(is_outside=stored.outside)
        try:
            async for piece in contents.read(turns_key(owner, stored.thread), first, end):
                yield piece
        except NotFound:
            raise Unavailable(f"The file with id '{stored.id}' was deleted while it was read.") from None

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Delete a file with its content; raises NotFound."""
        stored = await self.read(owner, file_id)
        await self.look_at(owner, stored.thread, at=self.clock.now())
        await self.forget(owner, stored)
        await self.clear(owner, stored.thread)

    async def forget(self, owner: Owner, stored: StoredFile) -> None:
        """Delete the document of a file from the owner's index, unless it is another file by now."""
        key, name = owner_index_key(owner), file_document_id(stored.id)

        async def step() -> None:
            found = await self.store.read(key, name)
            if found and found.read_as(StoredFile.from_document).thread == stored.thread:
                await self.store.commit(key, await self.removal(key, found, stored))

        await compare_and_swap(self.clock, step)

    async def look_at(self, owner: Owner, thread: str, *, at: float | None) -> None:
        """Make the timer look at a thread after `at`, or never; an earlier time is replaced."""
        key = turns_key(owner, thread)
        wanted = expiry_operation(owner, upload_id(thread), at=0.0 if at is None else at)

        async def step() -> None:
            found = await self.store.read(key, wanted.id)
            await self.store.commit(key, (look_operation(wanted, found, never=at is None),))

        await compare_and_swap(self.clock, step)

    async def settle(self, owner: Owner, thread: str) -> None:
        """Clear a thread that no file names, or whose file has expired, for the timer.

        A file that an upload has made stay since it was read is left alone.
        """
        head = await self.store.read(turns_key(owner, thread), HEAD)
        name = head.read_as(StoredFile.from_document).id if head else ""
        found = await self.store.read(owner_index_key(owner), file_document_id(name)) if name else None
        stored = found.read_as(StoredFile.from_document) if found else None
        if found is None or stored is None or stored.thread != thread:
            await self.clear(owner, thread)
        elif stored.is_kept(self.clock.now()):
            await self.look_at(owner, thread, at=stored.expires_at)
        else:
            key = owner_index_key(owner)
            if await commit_if_unchanged(self.store, key, await self.removal(key, found, stored)):
                await self.clear(owner, thread)

    async def removal(self, key: DocumentKey, found: Document, stored: StoredFile) -> tuple[Operation, ...]:
        """Return what removes a file from the owner's index, as it was read. Its place in the list stays."""
        left = await left_behind(self.store, key, listed_id(stored), now=self.clock.now())
        return Delete(id=found.id, etag=found.etag), *left

    async def clear(self, owner: Owner, thread: str) -> None:
        """Delete the content of a file, its expiry document after it, and the thread's entry in the owner's index."""
        key, last = turns_key(owner, thread), expiry_id(upload_id(thread))
        await self.places.clear(key)
        after = ""
        while documents := await self.store.list(key, prefix="", after=after, limit=CLEARED_AT_ONCE):
            await write_batches(self.store, key, [Delete(id=each.id) for each in documents if each.id != last])
            after = documents[-1].id
        await commit_if_unchanged(self.store, owner_index_key(owner), (Delete(id=thread_id(thread)),))
        await commit_if_unchanged(self.store, key, (Delete(id=last),))


def is_plain(file_id: str) -> bool:
    """Return whether an id may name a document: the store refuses other characters, and very long ids."""
    return file_id.replace("-", "").isalnum() and file_id.isascii() and len(file_id) <= LONGEST_ID


def listed_id(stored: StoredFile) -> str:
    return time_entry_id(LISTED, stored.created_at, stored.id)


def look_operation(wanted: Create, found: Document | None, *, never: bool) -> Create | Replace | Delete:
    if never:
        return Delete(id=wanted.id)
    return Replace(id=wanted.id, body=wanted.body, etag=found.etag) if found else wanted

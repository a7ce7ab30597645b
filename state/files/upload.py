"""How does the content of a file arrive, piece by piece, and become a file at once?"""

import hashlib
from copy import replace

from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.keys import owner_index_key, thread_id, turns_key
from clients.storage.port import Create, Delete, Document, Replace
from domain.files.stored_file import StoredFile, file_id
from domain.identity.owners import Owner
from state.files.file_store import FileStore, listed_id
from state.files.parts import HEAD, blob_mark, file_document_id

ABANDONED_S = 900.0
"""So long after it was last said to be at work, the timer clears an upload that has not become a file."""


class FileUpload:
    """One upload. Nothing of it can be found before `complete`; `abandon` deletes it.

    `may_be_file`: the document by which it is found was sent to the store, whose answer may have been lost.
    `expected` is the size that the content has at most, in bytes, or None where nobody knows.
    """

    def __init__(self, files: FileStore, owner: Owner, *, expected: int | None = None) -> None:
        self.files = files
        self.store = files.store
        self.owner = owner
        self.thread = files.clock.token()
        self.digest = hashlib.sha256()
        self.outside = files.places.takes_outside(expected)
        self.contents = files.places.of(is_outside=self.outside)
        self.key = turns_key(owner, self.thread)
        self.waiting = bytearray()
        self.size = 0
        self.parts = 0
        self.started = False
        self.may_be_file = False
        self.started_at = files.clock.now()
        self.stays_until = 0.0

    async def start(self) -> None:
        """Make the upload known to the timer and to an erasure of the owner before anything of it is stored."""
        await self.stay()
        if self.started:
            return
        self.started = True
        registered = Create(id=thread_id(self.thread), body={"kind": "thread", "v": 1, "at": self.started_at})
        await self.store.commit(owner_index_key(self.owner), (registered,))
        if self.outside:
            await self.store.commit(self.key, (blob_mark(self.started_at),))

    async def stay(self) -> None:
        """Keep the timer from clearing an upload that is at work; the results of a long batch take a while."""
        now = self.files.clock.now()
        if now >= self.stays_until - ABANDONED_S / 2:
            self.stays_until = now + ABANDONED_S
            await self.files.look_at(self.owner, self.thread, at=self.stays_until)

    async def renew(self) -> None:
        """Keep the timer from clearing what is stored of an upload, also while nothing is added to it."""
        if self.started:
            await self.stay()

    async def add(self, content: bytes) -> None:
        """Take the next bytes; every full part is stored."""
        self.digest.update(content)
        self.size += len(content)
        self.waiting += content
        size = self.contents.part_bytes
        while len(self.waiting) >= size:
            await self.store_part(bytes(self.waiting[:size]))
            del self.waiting[:size]

    async def store_part(self, content: bytes) -> None:
        await self.start()
        await self.contents.write(self.key, self.parts, content)
        self.parts += 1

    async def complete(self, *, filename: str, purpose: str, keep_s: float | None) -> StoredFile:
        """Return the file, which exists from now on; the owner's equal file where there is one.

        `keep_s` is how long it is kept, also where it existed already; None means until it is deleted.
        """
        if self.waiting:
            await self.store_part(bytes(self.waiting))
        await self.start()
        await self.contents.complete(self.key, self.parts)
        digest = self.digest.hexdigest()
        new = StoredFile(
            id=file_id(self.owner, purpose=purpose, filename=filename, digest=digest),
            thread=self.thread,
            filename=filename,
            purpose=purpose,
            size=self.size,
            digest=digest,
            created_at=self.started_at,
            expires_at=None if keep_s is None else self.started_at + keep_s,
            outside=self.outside,
        )
        await self.store.commit(self.key, (Create(id=HEAD, body=new.to_document()),))
        self.may_be_file = True
        kept = await compare_and_swap(self.files.clock, lambda: self.publish(new))
        if kept.thread != self.thread:
            await self.clear()
        await self.files.look_at(self.owner, kept.thread, at=kept.expires_at)
        return kept

    async def publish(self, new: StoredFile) -> StoredFile:
        """Write the document of a file, or let an equal one that exists be kept longer; raises Conflict."""
        key = owner_index_key(self.owner)
        found = await self.store.read(key, file_document_id(new.id))
        existing = found.read_as(StoredFile.from_document) if found else None
        if found and existing and existing.is_kept(self.files.clock.now()):
            kept = replace(existing, expires_at=new.expires_at)
            await self.store.commit(key, (Replace(id=found.id, body=kept.to_document(), etag=found.etag),))
            return kept
        gone = (Delete(id=listed_id(existing)),) if existing else ()
        await self.store.commit(key, (*gone, written(new, found), entry(new)))
        return new

    async def abandon(self) -> None:
        """Delete what is stored of the upload. What may be a file by now is left to the timer, which knows."""
        if self.started and not self.may_be_file:
            await self.clear()

    async def clear(self) -> None:
        await self.contents.delete(self.key)
        await self.files.clear(self.owner, self.thread)


def written(new: StoredFile, found: Document | None) -> Create | Replace:
    """Return what writes the document of a file, in place of one that has expired."""
    name, body = file_document_id(new.id), new.to_document()
    return Replace(id=name, body=body, etag=found.etag) if found else Create(id=name, body=body)


def entry(new: StoredFile) -> Create:
    return Create(id=listed_id(new), body={"kind": "listed_file", "v": 1, "at": new.created_at, "file": new.id})

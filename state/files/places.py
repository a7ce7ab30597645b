"""Where is the content of a file kept: in the document store, or outside it?"""

from typing import Final

from clients.files.port import FileContents
from clients.storage.port import DocumentKey, DocumentStore
from domain.errors import Unavailable
from state.files.document_contents import DocumentContents
from state.files.parts import BLOB, HEAD, is_outside

CLOSED: Final = "The content is in a blob storage, and GANGLION_BLOB_URL is not set."


class FilePlaces:
    """The two places of contents. What has at most `inside` bytes is in the store, like all without a place outside."""

    def __init__(self, store: DocumentStore, outside: FileContents | None = None, *, inside: int = 0) -> None:
        self.store = store
        self.documents = DocumentContents(store)
        self.outside = outside
        self.inside = inside

    def takes_outside(self, size: int | None) -> bool:
        """Tell whether a content of `size` bytes goes outside; one whose size nobody knows does where it can."""
        return self.outside is not None and (size is None or size > self.inside)

    def of(self, *, is_outside: bool) -> FileContents:
        """Return a place; raises Unavailable where it is not configured any more."""
        if not is_outside:
            return self.documents
        if self.outside is None:
            raise Unavailable(CLOSED)
        return self.outside

    async def clear(self, key: DocumentKey) -> None:
        """Delete the content of a thread from the place outside, where its mark or its head says that it has one."""
        found = [await self.store.read(key, name) for name in (BLOB, HEAD)]
        if is_outside(each for each in found if each):
            await self.of(is_outside=True).delete(key)

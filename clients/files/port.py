"""What must every place keep that holds the contents of files?"""

from collections.abc import AsyncIterator
from typing import Protocol

from clients.storage.port import DocumentKey


class FileContents(Protocol):
    """Holds contents under the keys of their threads. All methods raise Retryable and Terminal.

    A content is written in parts of `part_bytes`, of which the last may be shorter, each once, and can be read when it
    is complete. A content that is never completed is deleted like any other. Other methods are safe to repeat.
    """

    part_bytes: int

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None: ...

    async def complete(self, key: DocumentKey, parts: int) -> None:
        """Make the parts from 0 one content; raises Unavailable where some were deleted meanwhile."""
        ...

    def read(self, key: DocumentKey, first: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `first` until before `end`; raises NotFound where there is no such content."""
        ...

    async def delete(self, key: DocumentKey) -> None: ...

    async def close(self) -> None: ...

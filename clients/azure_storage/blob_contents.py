"""How are the contents of files kept in Azure Blob Storage?

A content is one block blob. Its blocks can't be seen until the list of them is committed. The SDK is imported at the
first use: an app that starts waits for no library that it may never need.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from clients.azure_storage.account import StorageIdentity, client_options, code_of, credential_of, error_of
from clients.clock import Clock
from clients.storage.port import DocumentKey
from domain.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

BLOCK_BYTES: Final = 1_048_576
"""The bytes of a content that are in memory while it is written, and while it is read."""

DELETED_BLOCKS: Final = "InvalidBlockList"
NO_CONTAINER: Final = "ContainerNotFound"


class BlobContents:
    """Keeps contents in one container, each under a name that says nothing of its owner."""

    part_bytes = BLOCK_BYTES

    def __init__(self, url: str, container: str, identity: StorageIdentity, clock: Clock) -> None:
        self.url = url
        self.container = container
        self.identity = identity
        self.clock = clock
        self.opened: ContainerClient | None = None
        self.credential: Any = None

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None:
        with self.translated():
            await (await self.blob(key)).stage_block(block_id(number), content, length=len(content))

    async def complete(self, key: DocumentKey, parts: int) -> None:
        from azure.storage.blob import BlobBlock  # noqa: PLC0415 - see the module

        blocks = [BlobBlock(block_id(number)) for number in range(parts)]
        with self.translated():
            try:
                await (await self.blob(key)).commit_block_list(blocks)
            except HttpResponseError as error:
                if code_of(error) == DELETED_BLOCKS:
                    raise Unavailable("Parts of the file were deleted while it was uploaded.") from None
                raise

    async def read(self, key: DocumentKey, first: int, end: int) -> AsyncIterator[bytes]:
        if end <= first:
            return
        with self.translated():
            found = await (await self.blob(key)).download_blob(offset=first, length=end - first, max_concurrency=1)
            async for piece in found.chunks():
                yield piece

    async def delete(self, key: DocumentKey) -> None:
        """Delete a content. Blocks that were never committed go with an empty blob that takes their place."""
        with self.translated():
            blob = await self.blob(key)
            if not await deleted(blob):
                await blob.upload_blob(b"", overwrite=True)
                await deleted(blob)

    async def blob(self, key: DocumentKey) -> Any:
        return (await self.client()).get_blob_client(blob_name(key))

    async def client(self) -> "ContainerClient":
        if self.opened is None:
            container_client = await asyncio.to_thread(import_client)
            self.opened = self.opened or self.connect(container_client)
        return self.opened

    def connect(self, container_client: "type[ContainerClient]") -> "ContainerClient":
        self.credential = credential_of(self.identity, self.clock.now())
        return container_client(
            self.url,
            self.container,
            credential=self.credential,
            max_single_get_size=BLOCK_BYTES,
            max_chunk_get_size=BLOCK_BYTES,
            **client_options(self.identity),
        )

    async def close(self) -> None:
        if self.opened is not None:
            await self.opened.close()
            await self.credential.close()
            self.opened = None

    @contextmanager
    def translated(self) -> Generator[None]:
        """Raise the product's errors in place of the SDK's."""
        try:
            yield
        except ResourceNotFoundError as error:
            if code_of(error) != NO_CONTAINER:
                raise NotFound("The content of the file is gone.") from None
            raise error_of(error, f"The container {self.container} of the blob storage") from error
        except AzureError as error:
            raise error_of(error, "The blob storage of files") from error


def import_client() -> "type[ContainerClient]":
    from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415 - see the module

    return ContainerClient


async def deleted(blob: Any) -> bool:
    """Delete a blob; return False where there is none, or where another process was first."""
    try:
        await blob.delete_blob()
    except ResourceNotFoundError as error:
        if code_of(error) == NO_CONTAINER:
            raise
        return False
    return True


def blob_name(key: DocumentKey) -> str:
    """Return the name of a content's blob: no two owners share the first part, and it names nobody."""
    *owner, thread = key.parts
    return f"{hashlib.sha256(repr(owner).encode()).hexdigest()[:32]}/{thread}"


def block_id(number: int) -> str:
    """Return the id of a block; all of one blob have the same length."""
    return base64.b64encode(f"{number:06d}".encode()).decode()

"""How are rows read from a blob of Azure Storage? With the app's identity, after its size and type were checked.

The SDK opens its own connections, so the host is checked but not pinned. The address is https: another host has no
certificate for the account's name.
"""

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError

from clients.azure_storage.account import StorageIdentity, client_options, code_of, credential_of, error_of
from clients.clock import Clock
from clients.sources.blob_rows import blob_rows, kind_of, matching
from clients.sources.egress import PinnedClient
from clients.sources.port import Row, SourceError
from domain.sources.blob_names import BlobName
from domain.sources.catalog import Source, SourceQuery

CHANGED: Final = "ConditionNotMet"


class BlobSource:
    """Reads one blob of a named container."""

    def __init__(self, client: PinnedClient, identity: StorageIdentity, clock: Clock) -> None:
        self.client = client
        self.identity = identity
        self.clock = clock

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Row]:
        if query.blob is None:
            raise SourceError("it names no blob")
        await self.client.pin(source)
        try:
            kind, content = await self.content(source, query.blob)
        except ResourceNotFoundError as error:
            missing = "container" if code_of(error) == "ContainerNotFound" else "blob"
            raise SourceError(f"the {missing} does not exist") from None
        except AzureError as error:
            if code_of(error) == CHANGED:
                raise SourceError("the blob was changed while it was read") from None
            raise SourceError(str(error_of(error, "the storage"))) from None
        rows = await asyncio.to_thread(blob_rows, kind, content, source.rows)
        return await asyncio.to_thread(matching, rows, query.keywords) if source.keywords else rows

    async def content(self, source: Source, name: BlobName) -> tuple[str, bytes]:
        """Return the media type and the content; what is too long, or can't be read, is not fetched."""
        await asyncio.to_thread(import_module, "azure.storage.blob.aio")
        from azure.storage.blob.aio import BlobClient  # noqa: PLC0415 - it takes long to import, and few apps need it

        async with (
            credential_of(self.identity, self.clock.now()) as credential,
            BlobClient(
                source.address,
                name.container,
                name.path,
                credential=credential,
                permit_redirects=False,
                **client_options(self.identity),
            ) as blob,
        ):
            found: Any = await blob.get_blob_properties()
            if found.size > source.max_bytes:
                raise SourceError(f"it has {found.size} bytes, more than {source.max_bytes}")
            if found.content_settings.content_encoding:
                raise SourceError("its content is compressed, which is not supported")
            kind = kind_of(found.content_settings.content_type, name.path)
            same: dict[str, Any] = {"etag": found.etag, "match_condition": MatchConditions.IfNotModified}
            return kind, await downloaded(blob, same) if found.size else b""


async def container_problem(address: str, container: str, identity: StorageIdentity, now: float) -> str:
    """Return why a container can't be read; empty where it can."""
    from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415 - as above

    options = client_options(identity)
    async with (
        credential_of(identity, now) as credential,
        ContainerClient(address, container, credential=credential, permit_redirects=False, **options) as client,
    ):
        try:
            await client.get_container_properties()
        except AzureError as error:
            return str(error_of(error, f"the container {container}"))
    return ""


async def downloaded(blob: Any, same: Mapping[str, Any]) -> bytes:
    """Return a content that has not changed since its properties were read."""
    return await (await blob.download_blob(**same)).readall()

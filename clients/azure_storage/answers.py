"""How do answers get into queues and containers of Azure Storage? The SDKs are imported at the first use."""

import asyncio
import base64
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Final

from azure.core.exceptions import AzureError, ResourceExistsError

from clients.azure_storage.account import StorageIdentity, client_options, code_of, credential_of, error_of
from clients.clock import Clock
from domain.files.storage_places import storage_place

EXISTS: Final = "BlobAlreadyExists"
"""The one conflict (409) after which the answer is there."""


class AzureAnswers:
    """Opens a connection for each answer: there are few, and to many places."""

    def __init__(self, identity: StorageIdentity, clock: Clock) -> None:
        self.identity = identity
        self.clock = clock

    async def put_message(self, queue: str, text: str) -> None:
        """Add a message, in base64 as the Functions host reads it."""
        await asyncio.to_thread(import_module, "azure.storage.queue.aio")
        from azure.storage.queue.aio import QueueClient  # noqa: PLC0415 - see the module

        place = storage_place(queue)
        with translated(f"The queue {place.name}"):
            async with (
                credential_of(self.identity, self.clock.now()) as credential,
                QueueClient(place.url, place.name, credential=credential, **client_options(self.identity)) as client,
            ):
                await client.send_message(base64.b64encode(text.encode()).decode())

    async def put_blob(self, container: str, name: str, content: bytes) -> None:
        await asyncio.to_thread(import_module, "azure.storage.blob.aio")
        from azure.storage.blob import ContentSettings  # noqa: PLC0415 - see the module
        from azure.storage.blob.aio import BlobClient  # noqa: PLC0415 - as above

        place, shown_as = storage_place(container), ContentSettings(content_type="application/json")
        with translated(f"The container {place.name}"):
            async with (
                credential_of(self.identity, self.clock.now()) as credential,
                BlobClient(
                    place.url, place.name, name, credential=credential, **client_options(self.identity)
                ) as client,
            ):
                try:
                    await client.upload_blob(content, overwrite=False, content_settings=shown_as)
                except ResourceExistsError as error:
                    if code_of(error) != EXISTS:
                        raise


@contextmanager
def translated(what: str) -> Generator[None]:
    try:
        yield
    except AzureError as error:
        raise error_of(error, what) from error

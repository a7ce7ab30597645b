"""How is a queue of Azure Storage, or of Azurite, used?

The SDK is imported here alone, and this module only for an app that has a queue trigger.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import QueueMessage as StoredMessage
from azure.storage.queue import StorageErrorCode
from azure.storage.queue.aio import QueueServiceClient

from devhost.queues.messages import MessageLostError, QueueMessage, QueueUnavailableError

POISON: Final = "-poison"
AZURITE: Final = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
"""https://learn.microsoft.com/azure/storage/common/storage-use-azurite: the public key of a stand-in."""

DEVELOPMENT: Final = "UseDevelopmentStorage=true"
NO_QUEUE: Final = "QueueNotFound"
LOST: Final = frozenset({"MessageNotFound", "PopReceiptMismatch"})


class StorageQueue:
    """One queue, and its poison queue."""

    def __init__(self, service: QueueServiceClient, name: str) -> None:
        self.name = name
        self.service = service
        self.client = service.get_queue_client(name)
        self.poisoned = service.get_queue_client(f"{name}{POISON}")

    async def take(self, count: int, *, hidden_s: float) -> list[QueueMessage]:
        options = {"messages_per_page": count, "max_messages": count, "visibility_timeout": int(hidden_s)}
        try:
            with translated():
                found: Any = self.client.receive_messages(**options)
                return [message_from(each) async for each in found]
        except MissingQueueError:
            return []

    async def hide(self, message: QueueMessage, *, hidden_s: float) -> None:
        with translated():
            changed: Any = await self.client.update_message(
                message.id, pop_receipt=message.receipt, visibility_timeout=int(hidden_s)
            )
        message.receipt = changed.pop_receipt

    async def delete(self, message: QueueMessage) -> None:
        with translated():
            await self.client.delete_message(message.id, message.receipt)

    async def poison(self, message: QueueMessage) -> None:
        with translated():
            with suppress(ResourceExistsError):
                await self.poisoned.create_queue()
            await self.poisoned.send_message(message.text)
        await self.delete(message)

    async def close(self) -> None:
        await self.service.close()


class MissingQueueError(QueueUnavailableError):
    """The queue does not exist."""


def message_from(stored: StoredMessage) -> QueueMessage:
    one: Any = stored
    return QueueMessage(
        id=one.id,
        text=one.content,
        tries=one.dequeue_count,
        receipt=one.pop_receipt,
        inserted=time_text(one.inserted_on),
        expires=time_text(one.expires_on),
        visible=time_text(one.next_visible_on),
    )


def time_text(time: datetime | None) -> str:
    return time.isoformat() if time else ""


@contextmanager
def translated() -> Generator[None]:
    """Raise this host's errors in place of the SDK's."""
    try:
        yield
    except AzureError as error:
        code = code_of(error)
        if code == NO_QUEUE:
            raise MissingQueueError(code) from None
        if code in LOST:
            raise MessageLostError(code) from None
        status = error.status_code if isinstance(error, HttpResponseError) else None
        raise QueueUnavailableError(code or (f"status {status}" if status else "it can't be reached")) from None


def code_of(error: AzureError) -> str:
    """Return the service's code; the SDK gives those that it knows as members of an enumeration."""
    code = getattr(error, "error_code", None) or ""
    return str(code.value if isinstance(code, StorageErrorCode) else code)


def open_queue(name: str, connection: str, settings: Mapping[str, str]) -> StorageQueue:
    """Open a queue by the settings of a connection, as the Functions host finds them; raises KeyError."""
    return StorageQueue(open_service(connection, settings), name)


def open_service(connection: str, settings: Mapping[str, str]) -> QueueServiceClient:
    if text := settings.get(connection) or settings.get(f"AzureWebJobs{connection}"):
        return QueueServiceClient.from_connection_string(AZURITE if text.strip(";") == DEVELOPMENT else text)
    account = settings.get(f"{connection}__accountName")
    address = settings.get(f"{connection}__queueServiceUri") or (
        f"https://{account}.queue.core.windows.net" if account else ""
    )
    if not address:
        raise KeyError(connection)
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - it takes half a second to import

    return QueueServiceClient(address, credential=DefaultAzureCredential())

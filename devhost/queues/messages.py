"""What is a message of a queue to the host, and what does its function get?"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(slots=True, kw_only=True)
class QueueMessage:
    """A message that is hidden from others while it is at work; `receipt` changes with each renewal.

    `tries` counts how often it was taken, this time included. Times are ISO 8601 texts.
    """

    id: str
    text: str
    tries: int
    receipt: str
    inserted: str
    expires: str
    visible: str

    def content(self, *, is_base64: bool) -> bytes | None:
        """Return what the message says; None where it is not encoded as the host expects."""
        if not is_base64:
            return self.text.encode()
        try:
            return base64.b64decode(self.text, validate=True)
        except (binascii.Error, ValueError):
            return None

    def metadata(self, queue: str) -> dict[str, Any]:
        """Return what the worker library reads beside the message."""
        return {
            "Id": self.id,
            "DequeueCount": self.tries,
            "PopReceipt": self.receipt,
            "InsertionTime": self.inserted,
            "ExpirationTime": self.expires,
            "NextVisibleTime": self.visible,
            "QueueTrigger": queue,
        }


class QueueUnavailableError(Exception):
    """The storage did not answer, or refused; the message says which."""


class MessageLostError(Exception):
    """The message is not this host's any more: it was hidden for too short a time, or was deleted."""


class Queue(Protocol):
    """One queue of a storage account. All methods raise QueueUnavailableError and MessageLostError."""

    name: str

    async def take(self, count: int, *, hidden_s: float) -> list[QueueMessage]:
        """Return messages, which others do not see for a while; none where the queue does not exist."""
        ...

    async def hide(self, message: QueueMessage, *, hidden_s: float) -> None: ...

    async def delete(self, message: QueueMessage) -> None: ...

    async def poison(self, message: QueueMessage) -> None:
        """Move a message to the poison queue, which is made where it does not exist."""
        ...

    async def close(self) -> None: ...

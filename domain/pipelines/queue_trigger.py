"""Which queue starts a pipeline, and which message has arrived there?"""

from typing import Final

from msgspec import Struct

HOST_STORAGE: Final = "AzureWebJobsStorage"
"""The name under which the settings of the host have its own storage account."""


class QueueTrigger(Struct, frozen=True, kw_only=True):
    """A queue of Azure Storage. `connection` is how the settings that lead to its account begin."""

    name: str
    connection: str = HOST_STORAGE


class QueueMessage(Struct, frozen=True, kw_only=True):
    """A message that the host has taken from a queue for the `tries`-th time; its `id` is the same each time."""

    id: str
    content: bytes
    tries: int = 1

"""Which queue starts a pipeline, and which message has arrived there?"""

from dataclasses import dataclass
from typing import Final

HOST_STORAGE: Final = "AzureWebJobsStorage"
"""The name under which the settings of the host have its own storage account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrigger:
    """A queue of Azure Storage. `connection` is how the settings that lead to its account begin."""

    name: str
    connection: str = HOST_STORAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A message that the host has taken from a queue for the `tries`-th time; its `id` is the same each time."""

    id: str
    content: bytes
    tries: int = 1

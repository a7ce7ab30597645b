"""What does `extensions.queues` of host.json configure?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

QUEUE_KEYS: Final = frozenset(
    {
        "maxPollingInterval",
        "visibilityTimeout",
        "batchSize",
        "newBatchThreshold",
        "maxDequeueCount",
        "messageEncoding",
    }
)
ENCODINGS: Final = ("base64", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """The host fetches `batch_size` messages as soon as `new_batch_threshold` or fewer are at work.

    A message that failed is hidden for `visibility_timeout_s`; after `max_dequeue_count` tries it goes to the poison
    queue. An empty queue is asked again after at most `max_polling_interval_s`. Defaults:
    https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
    """

    max_polling_interval_s: float = 60.0
    visibility_timeout_s: float = 0.0
    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    is_base64: bool = True


def encoding_problem(found: Mapping[str, Any]) -> str:
    """Return what is wrong with the encoding; empty where nothing is."""
    value = str(found.get("messageEncoding", ENCODINGS[0])).lower()
    return "" if value in ENCODINGS else f"messageEncoding: '{value}' is not one of {', '.join(ENCODINGS)}"

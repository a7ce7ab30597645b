"""How does the SDK parse the timestamps of a history?"""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

READER = "azure.durable_functions.models.history.HistoryEvent"
EXAMPLE = "2026-11-22T05:06:29.1889300Z"


def fast_reader(slow: Callable[[str], datetime]) -> Callable[[str], datetime]:
    """Parses this host's own timestamps; dateutil, the SDK's parser, parses all others.

    Dateutil has its own UTC object, and a different one where the machine's time zone is UTC.
    """
    zone = slow(EXAMPLE).tzinfo

    def read(text: str) -> datetime:
        if len(text) == len(EXAMPLE) and text.endswith("Z"):
            return datetime.fromisoformat(text).replace(tzinfo=zone)
        return slow(text)

    return read


def use_fast_timestamp_reader() -> None:
    """Every episode sends the whole history, and dateutil takes 70 µs for each of its events."""
    module: Any = sys.modules.get(READER)
    if module is not None:
        module.dt_parse = fast_reader(module.dt_parse)

"""How often does the application call its store?

This file is linked as function_app.py next to the product's own, which is linked as product.py. It writes the counts
to `store_calls.json` in the data folder several times a second. With BENCH_READERS=apart it drops the log
notifications, so that every reader polls like on another instance.
"""

import importlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from clients.storage.port import Document, DocumentKey, Operation
from clients.storage.sqlite.store import SqliteStore
from domain.log.events import Slot
from state.turns.log_notifications import LogNotifications

COUNTS = Path(os.environ["GANGLION_DATA"]) / "store_calls.json"
WRITE_EVERY_S = 0.2

calls: Counter[str] = Counter()

usual_read = SqliteStore.read
usual_list = SqliteStore.list
usual_commit = SqliteStore.commit


async def read(self: SqliteStore, key: DocumentKey, identifier: str) -> Document | None:
    calls["reads"] += 1
    return await usual_read(self, key, identifier)


async def list_range(
    self: SqliteStore, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000
) -> Sequence[Document]:
    calls["lists"] += 1
    return await usual_list(self, key, prefix=prefix, after=after, limit=limit)


async def commit(self: SqliteStore, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
    calls["commits"] += 1
    return await usual_commit(self, key, operations)


def write_counts() -> None:
    temporary = COUNTS.with_suffix(".new")
    while True:
        temporary.write_text(json.dumps(calls))
        temporary.replace(COUNTS)
        time.sleep(WRITE_EVERY_S)


def drop_notification(self: LogNotifications, response_id: str, slot: Slot) -> None:
    """Drop the notification."""


SqliteStore.read = read
SqliteStore.list = list_range
SqliteStore.commit = commit
if os.environ.get("BENCH_READERS") == "apart":
    LogNotifications.notify = drop_notification
threading.Thread(target=write_counts, daemon=True).start()

app = importlib.import_module("product").app

"""How often does the application ask its store?

Stands in a folder as its function_app.py, beside the product's own, there called product.py. `store_calls.json` beside
the data holds the counts, written several times a second. With BENCH_READERS=apart no reader is told what this process
writes: all read as on an instance of their own.
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
SAY_EVERY_S = 0.2

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


async def commit(self: SqliteStore, key: DocumentKey, operations: Sequence[Operation]) -> None:
    calls["commits"] += 1
    await usual_commit(self, key, operations)


def say() -> None:
    beside = COUNTS.with_suffix(".new")
    while True:
        beside.write_text(json.dumps(calls))
        beside.replace(COUNTS)
        time.sleep(SAY_EVERY_S)


def keep_quiet(self: LogNotifications, name: str, slot: Slot) -> None:
    """Tell nobody."""


SqliteStore.read = read
SqliteStore.list = list_range
SqliteStore.commit = commit
if os.environ.get("BENCH_READERS") == "apart":
    LogNotifications.notify = keep_quiet
threading.Thread(target=say, daemon=True).start()

app = importlib.import_module("product").app

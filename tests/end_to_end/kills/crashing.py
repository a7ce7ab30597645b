"""What if the product were killed with -9 at one exact step?

Stands in a copy of the package as its function_app.py, in front of the product's own, there called product.py. A file
beside the data orders one crash; whoever obeys removes it first.
"""

import importlib
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from clients.orchestrations import DurableOrchestrations
from clients.storage.port import Create, DocumentKey, Operation, Replace
from clients.storage.sqlite.store import SqliteStore
from domain.turns.response import Response

ORDER = Path(os.environ["GANGLION_DATA"]) / "crash.json"

usual_commit = SqliteStore.commit
usual_start = DurableOrchestrations.start


def step_of(operations: Sequence[Operation]) -> str:
    """Name a commit by its first write: `create claim`, `replace reservation`, `create fence`."""
    first = operations[0]
    kind = first.id.partition("_")[0]
    if isinstance(first, Create | Replace) and kind == "slot":
        kind = kind_of_slot(first)
    return f"{type(first).__name__.lower()} {kind}"


def kind_of_slot(write: Create | Replace) -> str:
    if "outcome" in write.body:
        return "outcome"
    ended = any(event["e"] == "ended" for event in write.body["events"])
    return "end" if ended else ("text" if write.body["events"] else "fence")


def crash_if_ordered(step: str, when: str) -> None:
    try:
        ordered = json.loads(ORDER.read_text())
    except FileNotFoundError:
        return
    if ordered == [step, when]:
        ORDER.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


async def commit(self: SqliteStore, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
    step = step_of(operations)
    crash_if_ordered(step, "before")
    etags = await usual_commit(self, key, operations)
    crash_if_ordered(step, "after")
    return etags


async def start(self: DurableOrchestrations, response: Response) -> None:
    crash_if_ordered("start", "before")
    await usual_start(self, response)
    crash_if_ordered("start", "after")


SqliteStore.commit = commit
DurableOrchestrations.start = start

app = importlib.import_module("product").app

"""What does one worker process of this benchmark do? `python -m benches.scale.worker TASK`, a task in JSON.

It prints "ready" when each of its callers has had a turn, waits for a line, runs the turns that count, and prints its
figures in JSON.
"""

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from benches.scale.figures import ScaleFigures
from benches.scale.workload import ScaleWorker
from clients.clock import SystemClock
from clients.storage.cosmos.settings import account_from
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore

READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """Which part of how many callers this worker takes. Without `data`, the store is Cosmos DB."""

    number: int
    workers: int
    concurrent: int
    turns: int
    added_s: float
    tenant: str
    data: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))

    def store(self, clock: SystemClock) -> DocumentStore:
        if self.data:
            return SqliteStore(Path(self.data) / "app.db", clock)
        return CosmosStore(account_from(os.environ), clock)


async def run(task: WorkerTask) -> ScaleFigures:
    clock = SystemClock()
    store = task.store(clock)
    worker = ScaleWorker(store, clock, added_s=task.added_s, tenant=task.tenant)
    callers = range(task.number, task.concurrent, task.workers)
    await worker.prepare()
    await worker.callers(callers, 1)
    worker.forget_figures()
    print(READY, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began = clock.now()
    await worker.callers(callers, task.turns)
    seconds = clock.now() - began
    await store.close()
    return ScaleFigures.of((worker.store,), turns=len(callers) * task.turns, seconds=seconds)


def main() -> None:
    print(json.dumps(asyncio.run(run(WorkerTask.from_json(sys.argv[1]))).to_document()))


if __name__ == "__main__":
    main()

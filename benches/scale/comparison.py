"""How many turns a second do four worker processes run that share one backend, one tenant and one store?

`python -m benches.scale [CONCURRENT...]`: 1, 10, 100 and 400 concurrent turns, on one SQLite file and on the local
server for Cosmos DB, with 0 and with 10 ms added to each call of the store. The turn limits are raised. A conflict is a
commit that the store rejects because another writer was faster. The last rows are in virtual time, where nothing but
the store takes any.
"""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from benches.command_line import chosen_numbers, report
from benches.scale.figures import ScaleFigures
from benches.scale.virtual import WORKERS, virtual_figures
from benches.scale.worker import READY, WorkerTask
from benches.tables import print_table
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.cosmos.account import account_in
from standins.cosmos.provisioning import COSMOS

CONCURRENT = (1, 10, 100, 400)
ADDED_S = (0.0, 0.01)
TURNS = 400
"""At least so many turns are counted for each row, but eight of each caller at most and two at least."""

HEAD = ("store", "concurrent turns", "ms added a call", "turns/s", "store calls per turn", "conflicts per turn")


async def figures(tasks: Sequence[WorkerTask], environment: Mapping[str, str]) -> ScaleFigures:
    """Run worker processes that begin to count together."""
    workers = [await started(task, environment) for task in tasks]
    for worker in workers:
        await ready(worker)
    return ScaleFigures.together(await asyncio.gather(*(finished(worker) for worker in workers)))


async def started(task: WorkerTask, environment: Mapping[str, str]) -> Process:
    command = (sys.executable, "-m", "benches.scale.worker", task.to_json())
    return await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment}, stdin=PIPE, stdout=PIPE)


async def ready(worker: Process) -> None:
    line = await worker.stdout.readline() if worker.stdout else b""
    if line.decode().strip() != READY:
        raise RuntimeError("a worker process failed")


async def finished(worker: Process) -> Mapping[str, Any]:
    printed, _ = await worker.communicate(b"go\n")
    return json.loads(printed)


def tasks_of(concurrent: int, added_s: float, *, tenant: str, data: str) -> Sequence[WorkerTask]:
    return [
        WorkerTask(
            number=number,
            workers=WORKERS,
            concurrent=concurrent,
            turns=max(2, min(TURNS // concurrent, 8)),
            added_s=added_s,
            tenant=tenant,
            data=data,
        )
        for number in range(min(WORKERS, concurrent))
    ]


def row(store: str, concurrent: int, added_s: float, found: ScaleFigures) -> tuple[str, ...]:
    return (
        store,
        str(concurrent),
        f"{added_s * 1000:.0f}",
        f"{found.turns_per_s:.1f}",
        f"{found.calls_per_turn:.1f}",
        f"{found.conflicts_per_turn:.3f}",
    )


def announce(store: str, concurrent: int, added_s: float) -> None:
    report(f"{store}, {concurrent} concurrent, {added_s * 1000:.0f} ms added to each call")


def on_sqlite(counts: Sequence[int]) -> Iterator[tuple[str, ...]]:
    for added_s, concurrent in product(ADDED_S, counts):
        with tempfile.TemporaryDirectory() as data:
            announce("SQLite", concurrent, added_s)
            tasks = tasks_of(concurrent, added_s, tenant="scale", data=data)
            yield row("SQLite", concurrent, added_s, asyncio.run(figures(tasks, {})))


def on_cosmos(counts: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Each row has a tenant of its own in one database."""
    with tempfile.TemporaryDirectory() as folder:
        options = ClusterOptions(data=Path(folder), store=COSMOS, host=False)
        with LocalCluster(options) as cluster:
            account = {**cluster.environment(), "GANGLION_COSMOS_KEY": account_in(cluster.data).key}
            for number, (added_s, concurrent) in enumerate(product(ADDED_S, counts)):
                announce("Cosmos DB", concurrent, added_s)
                tasks = tasks_of(concurrent, added_s, tenant=f"scale-{number}", data="")
                yield row("Cosmos DB", concurrent, added_s, asyncio.run(figures(tasks, account)))


def in_virtual_time(counts: Sequence[int]) -> Iterator[tuple[str, ...]]:
    for claims_memory, added_s, concurrent in product((False, True), ADDED_S, counts):
        name = "virtual time, KV memory" if claims_memory else "virtual time"
        announce(name, concurrent, added_s)
        found = virtual_figures(concurrent, turns=2, added_s=added_s, claims_memory=claims_memory)
        yield row(name, concurrent, added_s, found)


def main() -> None:
    counts = chosen_numbers(CONCURRENT, "concurrent")
    print_table(HEAD, [*on_sqlite(counts), *on_cosmos(counts), *in_virtual_time(counts)])

"""How many operations a second does the SQLite store complete, and how long does each take?

`python -m benches.store [OPERATIONS]` prints a table. Times are milliseconds for the caller, including waiting.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benches.command_line import chosen_number
from benches.tables import print_table
from clients.clock import SystemClock
from clients.storage.port import Add, Container, Create, DocumentKey
from clients.storage.sqlite.store import SqliteStore

OPERATIONS = 5000
TASKS = (1, 100)
PAGE = 10
BODY = {
    "kind": "slot",
    "v": 1,
    "n": 3,
    "writer": "attempt:" + "0" * 24,
    "first": 10,
    "at": 1_800_000_000.123,
    "pieces": 3,
    "events": [{"e": "text", "i": 1, "t": "three tokens of text "}] * 3,
}

type StoreAction = Callable[[DocumentKey, int], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRow:
    """One line of the table: a name, how many tasks, operations a second, and milliseconds."""

    name: str
    tasks: int
    per_s: float
    median_ms: float
    p95_ms: float


def partition(task: int) -> DocumentKey:
    return DocumentKey(container=Container.TURNS, parts=("tenant", "user:1", f"{task:024x}"))


def actions(store: SqliteStore) -> dict[str, StoreAction]:
    """Return the measured operations, in an order in which each finds its documents."""
    return {
        "commit a slot": lambda key, number: store.commit(key, [Create(id=slot(number), body=BODY)]),
        "commit an addition": lambda key, _: store.commit(key, [Add(id=slot(0), amounts={"count": 1})]),
        "read a slot": lambda key, number: store.read(key, slot(number)),
        f"list {PAGE} slots": lambda key, number: store.list(
            key, prefix="slot_", after=slot(max(number - PAGE, 0)), limit=PAGE
        ),
        "list none (the end of a log)": lambda key, _: store.list(key, prefix="slot_", after=slot(999_999)),
    }


def slot(number: int) -> str:
    return f"slot_resp_{'0' * 48}_{number:06d}"


async def measure(name: str, action: StoreAction, *, tasks: int, operations: int) -> StoreRow:
    times: list[float] = []

    async def work(task: int) -> None:
        for number in range(operations // tasks):
            start = time.perf_counter()
            await action(partition(task), number)
            times.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(work(task) for task in range(tasks)))
    seconds = time.perf_counter() - start
    times.sort()
    return StoreRow(
        name=name,
        tasks=tasks,
        per_s=len(times) / seconds,
        median_ms=times[len(times) // 2] * 1000,
        p95_ms=times[int(len(times) * 0.95)] * 1000,
    )


async def measure_all(folder: Path, *, operations: int, tasks: int) -> list[StoreRow]:
    store = SqliteStore(folder / f"{tasks}.db", SystemClock())
    rows = [await measure(name, action, tasks=tasks, operations=operations) for name, action in actions(store).items()]
    kept = await store.list(partition(tasks - 1), prefix="slot_", limit=operations)
    assert len(kept) == operations // tasks
    await store.close()
    return rows


def main(operations: int = OPERATIONS) -> list[StoreRow]:
    """Measure on a fresh file in the folder for temporary files, print the table and return it."""
    rows: list[StoreRow] = []
    with tempfile.TemporaryDirectory() as folder:
        for tasks in TASKS:
            rows += asyncio.run(measure_all(Path(folder), operations=operations, tasks=tasks))
    shown = [
        (row.name, str(row.tasks), f"{row.per_s:.0f}", f"{row.median_ms:.2f}", f"{row.p95_ms:.2f}") for row in rows
    ]
    print_table(("SQLite store", "tasks at once", "operations a second", "median ms", "p95 ms"), shown)
    return rows


if __name__ == "__main__":
    main(chosen_number(OPERATIONS, "operations"))

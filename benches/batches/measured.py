"""How many lines of a batch, and how many plain turns, does one process answer in a second?"""

import asyncio
import json
import tempfile
import time
from copy import replace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.scale.metered_store import MeteredStore
from clients.clock import SystemClock
from clients.storage.sqlite.store import SqliteStore
from domain.batches.batch import Batch, BatchRequest
from domain.batches.line_ids import batch_id
from domain.fleet.catalog import Backend
from state.files.upload import FileUpload
from tests.fakes.backends import FakeBackend, says
from tests.fakes.batches import BatchRun
from tests.fakes.worlds import OWNER, World, backend

ANSWER = "four and twenty blackbirds"
EVENTS_OF_A_TASK = 4
"""A step or a child is scheduled and completed, and the orchestrator starts and ends a run for it, at most."""

AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """The seconds of a number of lines or turns, their store operations, and the events of their histories at most."""

    number: int
    seconds: float
    operations: int
    events: int = 0

    @property
    def row(self) -> tuple[str, str, str]:
        events = f"{self.events / self.number:.1f}" if self.events else "-"
        return f"{self.number / self.seconds:.0f}", f"{self.operations / self.number:.1f}", events


def line(number: int) -> bytes:
    body = {"model": "model", "input": f"line {number}", "max_output_tokens": 64}
    whole = {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/responses", "body": body}
    return f"{json.dumps(whole)}\n".encode()


def product(folder: Path) -> tuple[World[Any], MeteredStore]:
    clock = SystemClock()
    store = MeteredStore(SqliteStore(folder / "store.sqlite", clock), clock)
    return World(store=store, clock=clock, backends={"main": (wide(), FakeBackend(says(ANSWER)))}), store


def wide() -> Backend:
    made = backend("main")
    return replace(made, limits=replace(made.limits, concurrency=2 * AT_ONCE))


async def batch_of(world: World[Any], lines: int) -> Batch:
    upload = FileUpload(world.app.state.files, OWNER)
    for number in range(lines):
        await upload.add(line(number))
    stored = await upload.complete(filename="in.jsonl", purpose="batch", keep_s=None)
    request = BatchRequest(endpoint="/v1/responses", input_file=stored.id, metadata={}, window_s=86_400)
    batch = Batch(id=batch_id(world.clock.token()), owner=OWNER, created_at=world.clock.now(), request=request)
    return await world.app.state.batches.create(batch)


async def measure_batch(lines: int) -> RunFigures:
    """Run a batch from its check to its files."""
    with tempfile.TemporaryDirectory() as folder:
        world, store = product(Path(folder))
        batch, run = await batch_of(world, lines), BatchRun(world)
        store.calls.clear()
        started = time.perf_counter()
        await run.run(batch)
        seconds = time.perf_counter() - started
        done = await world.app.state.batches.read(OWNER, batch.id)
        assert done.totals.completed == lines, done.status
        events = EVENTS_OF_A_TASK * sum(run.histories)
        await store.store.close()
        return RunFigures(number=lines, seconds=seconds, operations=store.calls.total(), events=events)


async def measure_turns(turns: int) -> RunFigures:
    """Admit and run plain turns, some of them at once."""
    with tempfile.TemporaryDirectory() as folder:
        world, store = product(Path(folder))
        room = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with room:
                turn = await world.admit(f"turn {number}", thread=world.clock.token(), max_output_tokens=64)
                await world.run(turn)

        started = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(turns)))
        seconds = time.perf_counter() - started
        await store.store.close()
        return RunFigures(number=turns, seconds=seconds, operations=store.calls.total())

"""How long do turns that somebody waits for take beside a batch that runs, and without one?

The backend answers eight calls at once, each in `ANSWER_S` seconds; more calls than that wait in it for a place.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from copy import replace
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any, Final, NamedTuple, override

from benches.batches.measured import ANSWER, batch_of
from benches.tables import print_table
from clients.backends.port import AnswerEnd, TextPiece
from clients.clock import SystemClock
from clients.storage.sqlite.store import SqliteStore
from tests.fakes.backends import Act, FakeBackend, says
from tests.fakes.batches import BatchRun
from tests.fakes.worlds import World, backend

PLACES: Final = 8
ANSWER_S: Final = 0.4
TURNS: Final = 60
A_SECOND: Final = 1.0
"""Turns arrive at random, so many a second on average."""

LINES: Final = 5000
"""More lines than run meanwhile."""

SEED: Final = 17


class PlacedBackend(FakeBackend):
    """Answers as many calls at once as it has places."""

    def __init__(self) -> None:
        super().__init__(says(ANSWER))
        self.places = asyncio.Semaphore(PLACES)
        self.full = 0

    @override
    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        self.full += self.places.locked()
        async with self.places:
            await asyncio.sleep(ANSWER_S)
        async for piece in super().play(script):
            yield piece


class BesideFigures(NamedTuple):
    """The p95 in seconds of turns, the lines that have run beside them, and the calls that found no place."""

    p95_s: float
    lines: int
    full: int


async def measure_beside(*, lines: int) -> BesideFigures:
    """Measure turns beside a batch of so many lines; without any, beside nothing."""
    with tempfile.TemporaryDirectory() as folder:
        clock, deployed = SystemClock(), backend("main")
        deployed = replace(deployed, limits=replace(deployed.limits, concurrency=PLACES))
        store = SqliteStore(Path(folder) / "store.sqlite", clock)
        model = PlacedBackend()
        world = World[Any](store=store, clock=clock, backends={"main": (deployed, model)})
        running = asyncio.create_task(run_lines(world, lines)) if lines else None
        await turn_s(world)
        took = await asyncio.gather(*(turn_s(world, after_s=each) for each in arrivals()))
        calls = len(model.calls) - TURNS - 1
        if running:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await store.close()
        return BesideFigures(quantiles(took, n=20)[-1], calls, model.full)


async def run_lines(world: World[Any], lines: int) -> None:
    await BatchRun(world).run(await batch_of(world, lines))


def arrivals() -> Sequence[float]:
    random, at = Random(SEED), 0.0  # noqa: S311 - a benchmark's arrivals must repeat
    return [at := at + random.expovariate(A_SECOND) for _ in range(TURNS)]


async def turn_s(world: World[Any], *, after_s: float = 0.0) -> float:
    """Return the seconds of a turn that arrives after some time."""
    await asyncio.sleep(after_s)
    started = time.perf_counter()
    await world.run(await world.admit("a question", thread=world.clock.token(), max_output_tokens=64))
    return time.perf_counter() - started


async def print_beside() -> None:
    """Print the p95 of turns without a batch and beside one."""
    alone, beside = await measure_beside(lines=0), await measure_beside(lines=LINES)
    rows = [
        ("without a batch", f"{alone.p95_s:.3f}", "0", str(alone.full)),
        ("while a batch runs", f"{beside.p95_s:.3f}", str(beside.lines), str(beside.full)),
    ]
    print_table((f"{TURNS} turns", "p95, s", "lines meanwhile", "calls that found no free place"), rows)
    print(f"\nthe p95 is {beside.p95_s / alone.p95_s:.2f} times that without a batch\n")

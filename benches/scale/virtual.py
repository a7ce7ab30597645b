"""What do workers do to each other where only the store takes time? In virtual time, so the figures repeat.

The workers share one store in memory. As with Durable Functions, any worker runs the next step of any turn.
"""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from benches.scale.figures import ScaleFigures
from benches.scale.workload import ScaleWorker, Step
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.stores import MemoryStore

WORKERS = 4


def virtual_figures(concurrent: int, *, turns: int, added_s: float, claims_memory: bool = False) -> ScaleFigures:
    """Run so many callers, each with so many turns."""
    return in_no_time(measured(concurrent, turns=turns, added_s=added_s, claims_memory=claims_memory))


async def measured(concurrent: int, *, turns: int, added_s: float, claims_memory: bool) -> ScaleFigures:
    """Each caller has had a turn before: its counters exist."""
    clock = LoopClock(seed=concurrent)
    store = MemoryStore(clock)
    workers = [ScaleWorker(store, clock, added_s=added_s, claims_memory=claims_memory) for _ in range(WORKERS)]
    steps = spread_steps(workers)
    await workers[0].prepare()
    await run_callers(workers, concurrent, 1, steps)
    for worker in workers:
        worker.forget_figures()
    began = clock.now()
    await run_callers(workers, concurrent, turns, steps)
    stores = (worker.store for worker in workers)
    return ScaleFigures.of(stores, turns=concurrent * turns, seconds=clock.now() - began)


async def run_callers(workers: Sequence[ScaleWorker], concurrent: int, turns: int, steps: Mapping[str, Step]) -> None:
    """Let each worker admit the turns of its share of the callers."""
    parts = [range(number, concurrent, WORKERS) for number in range(WORKERS)]
    await asyncio.gather(*(each.callers(part, turns, steps) for each, part in zip(workers, parts, strict=True) if part))


def spread_steps(workers: Sequence[ScaleWorker]) -> Mapping[str, Step]:
    """Return the steps of a turn; each call runs on some worker."""
    random = Random(0)  # noqa: S311 - a run must repeat

    def spread(name: str) -> Step:
        async def step(request: Any) -> Any:
            return await random.choice(workers).world.steps[name](request)

        return step

    return {name: spread(name) for name in workers[0].world.steps}

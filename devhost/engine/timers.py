"""When does the next durable timer fire?"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable

from devhost.clock import now
from devhost.engine.store import Timer

LONGEST_SLEEP_S = 30.0


class Timers:
    """All timers of the database, earliest first. A cancelled one stays here and finds no row when it fires.

    Sleeps are short because the machine may sleep too, and the loop's clock with it.
    """

    def __init__(self, *, fire: Callable[[list[Timer]], Awaitable[None]]) -> None:
        self.fire = fire
        self.heap: list[tuple[float, str, str, int]] = []
        self.changed = asyncio.Event()

    def add(self, timers: Iterable[Timer]) -> None:
        for timer in timers:
            heapq.heappush(self.heap, (timer.fire_at, timer.instance, timer.execution, timer.task))
            self.changed.set()

    def due(self, at: float) -> list[Timer]:
        found: list[Timer] = []
        while self.heap and self.heap[0][0] <= at:
            fire_at, instance, execution, task = heapq.heappop(self.heap)
            found.append(Timer(fire_at=fire_at, instance=instance, execution=execution, task=task))
        return found

    def wait_s(self, at: float) -> float:
        return min(LONGEST_SLEEP_S, max(0.0, self.heap[0][0] - at)) if self.heap else LONGEST_SLEEP_S

    async def run(self) -> None:
        while True:
            if due := self.due(now()):
                await self.fire(due)
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), self.wait_s(now()))
            except TimeoutError:
                continue

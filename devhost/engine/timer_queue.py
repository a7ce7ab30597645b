"""When does the next durable timer fire?"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable

from devhost.clock import now
from devhost.engine.storage.store import Timer

LONGEST_SLEEP_S = 30.0
LEAST_ROOM = 1000


class Timers:
    """All timers of the database, earliest first. A cancelled one stays here and finds no row when it fires.

    When half of them may be such, the database is read again: an instance that goes on for ever cancels many.
    Sleeps are short because the machine may sleep too, and the loop's clock with it.
    """

    def __init__(
        self, *, fire: Callable[[list[Timer]], Awaitable[None]], read: Callable[[], Awaitable[list[Timer]]]
    ) -> None:
        self.fire = fire
        self.read = read
        self.room = LEAST_ROOM
        self.heap: list[tuple[float, str, str, int]] = []
        self.changed = asyncio.Event()

    def add(self, timers: Iterable[Timer]) -> None:
        for timer in timers:
            heapq.heappush(self.heap, (timer.fire_at, timer.instance, timer.execution, timer.task))
            self.changed.set()

    async def tidy(self) -> None:
        """What is added meanwhile may come twice: the second finds no row."""
        self.heap = []
        self.add(await self.read())
        self.room = max(LEAST_ROOM, 2 * len(self.heap))

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
            if len(self.heap) > self.room:
                await self.tidy()
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), self.wait_s(now()))
            except TimeoutError:
                continue

"""When does the next durable timer fire?"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable

from devhost.clock import now
from devhost.engine.storage.store import StoredTimer

MAX_SLEEP_S = 30.0
MIN_REBUILD_SIZE = 1000


class TimerQueue:
    """All timers of the database, the earliest first. A cancelled timer stays until it is due and then finds no row.

    The queue is read again from the database when half of it may be cancelled timers: an eternal orchestration cancels
    many. Sleeps are short because the machine may be suspended, and the event loop's clock with it.
    """

    def __init__(
        self,
        *,
        fire: Callable[[list[StoredTimer]], Awaitable[None]],
        read: Callable[[], Awaitable[list[StoredTimer]]],
    ) -> None:
        self.fire = fire
        self.read = read
        self.rebuild_size = MIN_REBUILD_SIZE
        self.heap: list[tuple[float, str, str, int]] = []
        self.changed = asyncio.Event()

    def add(self, timers: Iterable[StoredTimer]) -> None:
        for timer in timers:
            heapq.heappush(self.heap, (timer.fire_at, timer.instance, timer.execution, timer.task))
            self.changed.set()

    async def rebuild(self) -> None:
        """A timer that is added during the read may be queued twice: the second one finds no row."""
        self.heap = []
        self.add(await self.read())
        self.rebuild_size = max(MIN_REBUILD_SIZE, 2 * len(self.heap))

    def pop_due(self, at: float) -> list[StoredTimer]:
        found: list[StoredTimer] = []
        while self.heap and self.heap[0][0] <= at:
            fire_at, instance, execution, task = heapq.heappop(self.heap)
            found.append(StoredTimer(fire_at=fire_at, instance=instance, execution=execution, task=task))
        return found

    def seconds_to_next(self, at: float) -> float:
        return min(MAX_SLEEP_S, max(0.0, self.heap[0][0] - at)) if self.heap else MAX_SLEEP_S

    async def run(self) -> None:
        while True:
            if due := self.pop_due(now()):
                await self.fire(due)
            if len(self.heap) > self.rebuild_size:
                await self.rebuild()
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), self.seconds_to_next(now()))
            except TimeoutError:
                continue

"""Which batches have lost their orchestration, and which of those that wait are to begin now?"""

from collections import Counter
from collections.abc import Awaitable, Callable
from copy import replace
from typing import Final

from activities.maintenance.sweep import tolerate_failure
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.batches.batch import Batch, BatchStatus
from domain.batches.start_time import StartDecision
from state.batches.batch_store import BatchStore
from state.batches.starts import BatchStart
from telemetry.turn_metrics import count_finding

MAY_WAIT: Final = frozenset({BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING})

type DecideStart = Callable[[Batch, int], Awaitable[StartDecision]]
"""Decides for a batch; the number is that of the lines of all batches that wait for its model."""


def never() -> bool:
    """Return that nothing has happened."""
    return False


class BatchSweep:
    """Starts lost batches again and wakes waiting ones, for the timer. Each step of a batch is safe to repeat."""

    def __init__(
        self,
        batches: BatchStore,
        decide: DecideStart,
        clock: Clock,
        *,
        unbegun_s: float,
        has_warmed: Callable[[], bool] = never,
    ) -> None:
        """`has_warmed` tells whether a backend has become warm since it was asked last."""
        self.batches = batches
        self.decide = decide
        self.clock = clock
        self.unbegun_s = unbegun_s
        self.has_warmed = has_warmed

    async def run(self, orchestrations: Orchestrations) -> None:
        active = await self.batches.active(before=self.clock.now() - self.unbegun_s)
        for batch in active:
            await tolerate_failure(self.restart(batch, orchestrations), f"start {batch.id}")
        await self.wake(active, orchestrations)

    async def wake_where_warm(self, orchestrations: Orchestrations) -> None:
        """Wake the batches that would join a backend which has just become warm."""
        if self.has_warmed():
            await self.wake(await self.batches.active(before=self.clock.now()), orchestrations)

    async def restart(self, batch: Batch, orchestrations: Orchestrations) -> None:
        if not await orchestrations.is_running(batch.id):
            count_finding("lost_batch", 1)
            await orchestrations.start_batch(batch)

    async def wake(self, active: tuple[Batch, ...], orchestrations: Orchestrations) -> None:
        """Wake the batches that would begin now, those of one model together."""
        starts = [(batch, start) for batch in active if (start := await self.waiting(batch))]
        waiting = [each for each in starts if each[0].status is BatchStatus.IN_PROGRESS]
        together = Counter[str | None]()
        for batch, _ in waiting:
            together[batch.model] += batch.lines
        for batch, start in starts:
            if batch.status is BatchStatus.CANCELLING:
                await orchestrations.wake_batch(batch.id, start.looks)
        for batch, start in waiting:
            work = self.wake_one(batch, start, together[batch.model], orchestrations)
            await tolerate_failure(work, f"wake {batch.id}")

    async def waiting(self, batch: Batch) -> BatchStart | None:
        """Return the decision by which a batch waits, or waited when it was cancelled."""
        start = await self.batches.starts.read(batch) if batch.status in MAY_WAIT else None
        return start if start and not start.decision.starts else None

    async def wake_one(self, batch: Batch, start: BatchStart, together: int, orchestrations: Orchestrations) -> None:
        decision = await self.decide(batch, together)
        if decision.starts:
            noted = replace(start.decision, together=together)
            await self.batches.starts.save(batch, noted, looks=start.looks)
            await orchestrations.wake_batch(batch.id, start.looks)

"""Which batches have lost their orchestration, and which of those that wait are to begin now?"""

from collections.abc import Awaitable, Callable, Sequence

from activities.maintenance.sweep import tolerate_failure
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from clients.storage.port import SWEEP_LIMIT
from domain.batches.batch import Batch, BatchStatus
from domain.batches.start_time import StartDecision, WaitingLines
from state.batches.batch_store import BatchStore
from state.batches.waiting_batches import TimedBatch, lines_beside, timed_among
from telemetry.turn_metrics import count_finding

type DecideStart = Callable[[Batch, WaitingLines], Awaitable[StartDecision]]
"""Decides for a batch among the lines that wait for its model."""


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
        most: int = SWEEP_LIMIT,
    ) -> None:
        """`has_warmed` tells whether a backend has become warm since it was asked last.

        A sweep looks at `most` batches; where there are more, the next one looks at others.
        """
        self.batches = batches
        self.decide = decide
        self.clock = clock
        self.unbegun_s = unbegun_s
        self.has_warmed = has_warmed
        self.most = most

    async def run(self, orchestrations: Orchestrations) -> None:
        active = await self.batches.active(before=self.clock.now() - self.unbegun_s, limit=self.most)
        for batch in active:
            await tolerate_failure(self.restart(batch, orchestrations), f"start {batch.id}")
        await self.wake(active, orchestrations)
        if len(active) > self.most // 2:  # less than a page: damaged ones are not among those found
            for batch in active:
                await tolerate_failure(self.batches.put_behind(batch), f"postpone the check of {batch.id}")

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
        timed = await timed_among(self.batches, active)
        for each in timed:
            if each.waits:
                await tolerate_failure(self.wake_one(each, timed, orchestrations), f"wake {each.batch.id}")

    async def wake_one(self, found: TimedBatch, timed: Sequence[TimedBatch], orchestrations: Orchestrations) -> None:
        batch, start = found
        is_cancelled = batch.status is BatchStatus.CANCELLING
        lines = lines_beside(batch, timed, now=self.clock.now())
        if is_cancelled or (await self.decide(batch, lines)).starts:
            await orchestrations.wake_batch(batch.id, start.looks)

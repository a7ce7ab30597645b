"""Which batches have lost their orchestration, or never got one?"""

from activities.maintenance.sweep import tolerate_failure
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from state.batches.batch_store import BatchStore
from telemetry.turn_metrics import count_finding


class BatchSweep:
    """Starts them again, for the timer: each of their steps is safe to repeat."""

    def __init__(self, batches: BatchStore, clock: Clock, *, unbegun_s: float) -> None:
        self.batches = batches
        self.clock = clock
        self.unbegun_s = unbegun_s

    async def restart(self, orchestrations: Orchestrations) -> None:
        for batch in await self.batches.active(before=self.clock.now() - self.unbegun_s):
            if not await orchestrations.is_running(batch.id):
                count_finding("lost_batch", 1)
                await tolerate_failure(orchestrations.start_batch(batch), f"start {batch.id}")

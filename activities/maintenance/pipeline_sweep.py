"""Which events of pipelines did a crash leave without a turn, or whose answer has arrived by now?"""

from collections.abc import Awaitable, Callable

from activities.maintenance.sweep import tolerate_failure
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.pipelines.event_run import EventRun, RunStatus
from state.pipelines.event_runs import EventRuns

type Advance = Callable[[EventRun, Orchestrations], Awaitable[EventRun]]
"""Takes a run as far as it goes now."""


class PipelineSweep:
    """Runs once a minute. It may run twice, or twice at the same time."""

    def __init__(self, runs: EventRuns, advance: Advance, clock: Clock, *, unbegun_s: float) -> None:
        self.runs = runs
        self.advance = advance
        self.clock = clock
        self.unbegun_s = unbegun_s

    async def run(self, orchestrations: Orchestrations) -> None:
        before = self.clock.now() - self.unbegun_s
        for status in (RunStatus.OPEN, RunStatus.DELIVERING):
            for found in await self.runs.unfinished(status, before=before):
                await tolerate_failure(self.look(found, orchestrations), f"advance the event {found.digest}")

    async def look(self, run: EventRun, orchestrations: Orchestrations) -> None:
        await self.advance(run, orchestrations)

"""Which events of pipelines did a crash leave without a turn, or whose answer has arrived by now?"""

from collections.abc import Awaitable, Callable

from activities.maintenance.sweep import tolerate_failure
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from clients.storage.port import SWEEP_LIMIT
from domain.pipelines.event_run import EventRun, RunStatus
from state.pipelines.event_runs import EventRuns

type Advance = Callable[[EventRun, Orchestrations], Awaitable[EventRun]]
"""Takes a run as far as it goes now."""


class PipelineSweep:
    """Runs once a minute. It may run twice, or twice at the same time."""

    def __init__(
        self, runs: EventRuns, advance: Advance, clock: Clock, *, unbegun_s: float, most: int = SWEEP_LIMIT
    ) -> None:
        """`most`: the runs of one status that a sweep looks at."""
        self.runs = runs
        self.advance = advance
        self.clock = clock
        self.unbegun_s = unbegun_s
        self.most = most

    async def run(self, orchestrations: Orchestrations) -> None:
        """Advance runs, of each status at most `most`; where there are more, those go on next that waited longest.

        Runs whose turns wait for days, for approvals, keep no later run from going on.
        """
        before = self.clock.now() - self.unbegun_s
        for status in (RunStatus.OPEN, RunStatus.DELIVERING):
            found = await self.runs.unfinished(status, before=before, limit=self.most)
            for each in found:
                await tolerate_failure(self.look(each, orchestrations), f"advance the event {each.digest}")
                if len(found) > self.most // 2:  # less than a page: damaged ones are not among those found
                    await tolerate_failure(self.runs.put_behind(each), f"postpone the event {each.digest}")

    async def look(self, run: EventRun, orchestrations: Orchestrations) -> None:
        await self.advance(run, orchestrations)

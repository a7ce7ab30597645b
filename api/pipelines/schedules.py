"""How does a due time become a turn?"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from api.pipelines.functions import new_run
from api.pipelines.pipeline_turns import PipelineTurns
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from clients.storage.retry import with_back_off
from domain.errors import Retryable
from domain.pipelines.event_run import EventRun, event_digest
from domain.pipelines.pipeline import Pipeline

SOURCE: Final = "schedule"
EARLY_S: Final = 5.0
"""A timer may fire so many seconds before its due time, by the host's clock."""

PATIENCE_S: Final = 240.0
"""How long an occurrence is tried while the store does not answer: the host does not repeat one that has failed."""

MOST_TRIES: Final = 1000


class Schedules(Struct, frozen=True, kw_only=True):
    """Begins the turns of schedules. The due time determines the turn, so a timer that fires twice has one."""

    turns: PipelineTurns
    clock: Clock

    async def fire(self, pipeline: Pipeline, status: Mapping[str, Any], orchestrations: Orchestrations) -> EventRun:
        """Begin the turn of an occurrence; `status` is the host's `ScheduleStatus`."""
        due = due_time(status, now=self.clock.now())
        digest = event_digest(pipeline.name, SOURCE, datetime.fromtimestamp(due, UTC).isoformat())
        run = new_run(pipeline, digest, pipeline.text, self.clock)

        async def accept() -> EventRun:
            return await self.turns.runs.accept(run)

        await with_back_off(self.clock, accept, retry_on=(Retryable,), tries=MOST_TRIES, within_s=PATIENCE_S)
        return await self.turns.begin(run, orchestrations)


def due_time(status: Mapping[str, Any], *, now: float) -> float:
    """Return when the running occurrence was due, in whole seconds since the epoch.

    The host names it as the next one until the run has ended
    (https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer). A run out of turn is due now.
    """
    try:
        named = datetime.fromisoformat(str(status.get("Next", "")))
    except ValueError:
        return float(int(now))
    due = (named if named.tzinfo else named.replace(tzinfo=UTC)).timestamp()
    return float(int(due if 0 < due <= now + EARLY_S else now))

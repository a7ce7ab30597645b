"""How does the engine call user code, and how much of it runs at the same time?"""

from dataclasses import dataclass
from typing import Protocol

from devhost.engine.model.commands import Completed, Failed, OrchestratorDecision
from devhost.engine.model.work_items import ActivityWorkItem, EntityBatch, EntityBatchResult, Episode


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """How many orchestrator episodes, activities and entities run at the same time.

    An activity, an episode or an entity operation fails when its worker died more often than the matching limit of
    redeliveries while it ran. None means no limit.
    """

    orchestrators: int
    activities: int
    entities: int = 10
    activity_redeliveries: int | None = None
    orchestrator_redeliveries: int | None = None
    entity_redeliveries: int | None = None


class Executor(Protocol):
    """Runs user code through some protocol. Raises RedeliverError if the work must be delivered again.

    `run_episode` may raise NotForThisHostError.
    """

    async def run_episode(self, episode: Episode) -> OrchestratorDecision: ...

    async def run_activity(self, work: ActivityWorkItem) -> Completed | Failed: ...

    async def run_entity_batch(self, batch: EntityBatch) -> EntityBatchResult: ...


class RedeliverError(Exception):
    """The worker died during the work, which must be delivered again."""


class NotForThisHostError(Exception):
    """The host does not accept the instance's version; the instance stays unchanged for another host."""

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
    """The way to the user's code, in some protocol. Raises RedeliverError when the code must be asked again.

    A episode may raise LeaveError.
    """

    async def run_episode(self, episode: Episode) -> OrchestratorDecision: ...

    async def run_activity(self, work: ActivityWorkItem) -> Completed | Failed: ...

    async def run_entity_batch(self, batch: EntityBatch) -> EntityBatchResult: ...


class RedeliverError(Exception):
    """What ran was lost with its worker: hand the work out again."""


class NotForThisHostError(Exception):
    """The instance is not for this host: it stays as it is until another comes."""

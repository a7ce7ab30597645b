"""Which units of work does the engine give to user code?"""

from dataclasses import dataclass

from devhost.engine.model.commands import Completed, Failed
from devhost.engine.model.events import HistoryEvent, ParentInstance
from devhost.engine.model.instances import OrchestrationInstance


def is_entity_id(id_: str) -> bool:
    """No instance's id begins as the names of entities do."""
    return id_.startswith("@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What an orchestrator gets to decide on. `new` opens with the episode's own start."""

    instance: OrchestrationInstance
    past_events: tuple[HistoryEvent, ...]
    new_events: tuple[HistoryEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityWorkItem:
    """One activity to run. `redeliveries` counts how often it was handed out again."""

    row: int
    instance: str
    execution: str
    task: int
    name: str
    input: str
    trace: str | None
    redeliveries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """An entity that exists; `state` is a JSON text."""

    id: str
    state: str
    updated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityOperation:
    """What an entity is asked to do; `parent` waits for the answer, if anybody does."""

    seq: int
    name: str
    input: str | None
    parent: ParentInstance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityBatch:
    """Operations for one entity, oldest first. A `state` of None means that the entity does not exist."""

    entity: str
    state: str | None
    operations: tuple[EntityOperation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityBatchResult:
    """One answer for each operation, and the state after the last. Reasons are JSON texts."""

    state: str | None
    results: tuple[Completed | Failed, ...]

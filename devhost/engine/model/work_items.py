"""Which units of work does the engine give to user code?"""

from dataclasses import dataclass

from devhost.engine.model.commands import Completed, Failed
from devhost.engine.model.events import HistoryEvent, ParentInstance
from devhost.engine.model.instances import OrchestrationInstance


def is_entity_id(id_: str) -> bool:
    """Entity ids start with "@"; no instance id does."""
    return id_.startswith("@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What an orchestrator decides on. `new_events` starts with the start of the episode."""

    instance: OrchestrationInstance
    past_events: tuple[HistoryEvent, ...]
    new_events: tuple[HistoryEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityWorkItem:
    """One activity to run. `redeliveries` counts how often it was delivered again."""

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
    """An existing entity; `state` is a JSON text."""

    id: str
    state: str
    updated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityOperation:
    """An operation of an entity; `parent` is the orchestration that waits for the result, if any."""

    seq: int
    name: str
    input: str | None
    parent: ParentInstance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityBatch:
    """Operations for one entity, the oldest first. A `state` of None means that the entity does not exist."""

    entity: str
    state: str | None
    operations: tuple[EntityOperation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityBatchResult:
    """One result for each operation, and the state after the last one. Failure reasons are JSON texts."""

    state: str | None
    results: tuple[Completed | Failed, ...]

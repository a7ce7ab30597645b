"""Which units of work does the engine give to user code?"""

from dataclasses import dataclass

from devhost.engine.model.commands import Completed, Failed
from devhost.engine.model.events import Event, Parent
from devhost.engine.model.instances import Instance


def is_entity(name: str) -> bool:
    """No instance's id begins as the names of entities do."""
    return name.startswith("@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What an orchestrator gets to decide on. `new` opens with the turn's own start."""

    instance: Instance
    past: tuple[Event, ...]
    new: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
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
class Operation:
    """What an entity is asked to do; `parent` waits for the answer, if anybody does."""

    seq: int
    name: str
    input: str | None
    parent: Parent | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Operations for one entity, oldest first. A `state` of None means that the entity does not exist."""

    entity: str
    state: str | None
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """One answer for each operation, and the state after the last. Reasons are JSON texts."""

    state: str | None
    answers: tuple[Completed | Failed, ...]

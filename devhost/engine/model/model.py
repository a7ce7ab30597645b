"""What does the engine keep, ask and get back?"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from devhost.engine.model.events import Event, Parent


class Status(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    FAILED = "Failed"
    TERMINATED = "Terminated"


TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.TERMINATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One orchestration. `input`, `output` and `custom_status` are texts, JSON unless a reason stands there."""

    id: str
    execution: str
    name: str
    status: Status
    created: float
    updated: float
    version: str | None = None
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    trace: str | None = None
    parent: Parent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A wish to run an orchestration. Ids are chosen by the caller."""

    id: str
    execution: str
    name: str
    at: float
    input: str | None = None
    version: str | None = None
    trace: str | None = None
    parent: Parent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunActivity:
    id: int
    name: str
    input: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """A cancelled timer takes an id and a place in the history, and never fires."""

    id: int
    fire_at: float
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTimer:
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartChild:
    id: int
    name: str
    instance: str
    input: str | None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEntity:
    """`entity` is @name@key with the name in lower case."""

    id: int
    entity: str
    operation: str
    input: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalEntity:
    """Takes an id as a call does; nobody waits for it. With `due` it goes out then, in seconds since 1970."""

    id: int
    entity: str
    operation: str
    input: str | None
    due: float | None = None


def is_entity(name: str) -> bool:
    """No instance's id begins as the names of entities do."""
    return name.startswith("@")


type Scheduled = RunActivity | StartTimer | StartChild | CallEntity | SignalEntity
type Command = Scheduled | CancelTimer


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    output: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    reason: str
    details: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuedAsNew:
    """`carried` are the external events that go over to the new execution."""

    input: str | None
    carried: tuple[Event, ...] = ()


type Ending = Completed | Failed | ContinuedAsNew


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What an orchestrator gets to decide on. `new` opens with the turn's own start."""

    instance: Instance
    past: tuple[Event, ...]
    new: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`custom_status` None leaves it as it was."""

    commands: tuple[Command, ...] = ()
    ending: Ending | None = None
    custom_status: str | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which instances? Times are seconds since 1970; an empty set of statuses means all.

    `after` is the creation and the id of the last one seen: they come in this order.
    """

    created_from: float | None = None
    created_to: float | None = None
    statuses: frozenset[Status] = frozenset()
    prefix: str = ""
    after: tuple[float, str] | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many orchestrator turns, activities and entities run at once.

    What was lost with its worker more than `redeliveries` times fails: an activity, a turn, an operation of an entity.
    None hands it out for ever.
    """

    turns: int
    activities: int
    entities: int = 10
    redeliveries: int | None = None
    turn_redeliveries: int | None = None
    entity_redeliveries: int | None = None


class Executor(Protocol):
    """The way to the user's code, in some protocol. Raises RedeliverError when the code must be asked again.

    A turn may raise LeaveError.
    """

    async def turn(self, turn: Turn) -> Decision: ...

    async def activity(self, work: Work) -> Completed | Failed: ...

    async def entity(self, batch: Batch) -> BatchOutcome: ...


class RedeliverError(Exception):
    """What ran was lost with its worker: hand the work out again."""


class LeaveError(Exception):
    """The instance is not for this host: it stays as it is until another comes."""


class InstanceNotFoundError(Exception):
    """No instance has this id."""


class InstanceEndedError(Exception):
    """The instance has ended: nothing more can be asked of it."""


class InstanceNotFailedError(Exception):
    """Only what has failed is rewound."""


class InstanceRunningError(Exception):
    """The instance has not ended: its id is taken and its history can't go."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"An Orchestration instance with the status {status} already exists.")
        self.status = status

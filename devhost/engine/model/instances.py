"""What does the engine record about an orchestration instance?"""

from dataclasses import dataclass
from enum import StrEnum

from devhost.engine.model.events import ParentInstance


class RuntimeStatus(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    FAILED = "Failed"
    TERMINATED = "Terminated"


TERMINAL_STATUSES = frozenset({RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.TERMINATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationInstance:
    """`input`, `output` and `custom_status` are JSON texts; the output of a failure is a plain reason."""

    id: str
    execution: str
    name: str
    status: RuntimeStatus
    created: float
    updated: float
    version: str | None = None
    input: str | None = None
    output: str | None = None
    custom_status: str | None = None
    trace: str | None = None
    parent: ParentInstance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationStart:
    """A request to start an orchestration. The caller chooses the ids."""

    id: str
    execution: str
    name: str
    at: float
    input: str | None = None
    version: str | None = None
    trace: str | None = None
    parent: ParentInstance | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceQuery:
    """Filters instances. Times are seconds since 1970; an empty set of statuses matches all.

    Results are ordered by creation time and id; `after` holds those of the last instance of the previous page.
    """

    created_from: float | None = None
    created_to: float | None = None
    statuses: frozenset[RuntimeStatus] = frozenset()
    prefix: str = ""
    after: tuple[float, str] | None = None
    limit: int | None = None


class TaskHubUnavailableError(Exception):
    """The database fails at the moment, as with a full disk, and has changed nothing. The message is its reason."""


class InstanceNotFoundError(Exception):
    """No instance has this id."""


class InstanceEndedError(Exception):
    """The instance has completed and accepts no more messages."""


class InstanceNotFailedError(Exception):
    """Only a failed instance can be rewound."""


class InstanceRunningError(Exception):
    """The instance is still running: its id is taken and its history can't be removed."""

    def __init__(self, status: RuntimeStatus) -> None:
        super().__init__(f"An Orchestration instance with the status {status} already exists.")
        self.status = status

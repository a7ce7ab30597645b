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
    """One orchestration. `input`, `output` and `custom_status` are texts, JSON unless a reason stands there."""

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
    """A wish to run an orchestration. Ids are chosen by the caller."""

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
    """Which instances? Times are seconds since 1970; an empty set of statuses means all.

    `after` is the creation and the id of the last one seen: they come in this order.
    """

    created_from: float | None = None
    created_to: float | None = None
    statuses: frozenset[RuntimeStatus] = frozenset()
    prefix: str = ""
    after: tuple[float, str] | None = None
    limit: int | None = None


class InstanceNotFoundError(Exception):
    """No instance has this id."""


class InstanceEndedError(Exception):
    """The instance has ended: nothing more can be asked of it."""


class InstanceNotFailedError(Exception):
    """Only what has failed is rewound."""


class InstanceRunningError(Exception):
    """The instance has not ended: its id is taken and its history can't go."""

    def __init__(self, status: RuntimeStatus) -> None:
        super().__init__(f"An Orchestration instance with the status {status} already exists.")
        self.status = status

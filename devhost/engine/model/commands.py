"""What can an orchestrator decide in one episode?"""

from dataclasses import dataclass

from devhost.engine.model.events import HistoryEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RunActivity:
    id: int
    name: str
    input: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """A cancelled timer takes an id and a history event, and never fires."""

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
    """Takes an id like a call; the orchestrator does not wait. `due` delays the delivery (seconds since 1970)."""

    id: int
    entity: str
    operation: str
    input: str | None
    due: float | None = None


type SchedulingCommand = RunActivity | StartTimer | StartChild | CallEntity | SignalEntity


type OrchestratorCommand = SchedulingCommand | CancelTimer


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    output: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    reason: str
    details: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuedAsNew:
    """`carried_events` are the external events that the new execution receives."""

    input: str | None
    carried_events: tuple[HistoryEvent, ...] = ()


type ExecutionOutcome = Completed | Failed | ContinuedAsNew


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorDecision:
    """A `custom_status` of None keeps the previous one."""

    commands: tuple[OrchestratorCommand, ...] = ()
    outcome: ExecutionOutcome | None = None
    custom_status: str | None = None

"""What does one turn of an orchestrator read, decide and write? Pure: snapshot and decision in, commit out."""

from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from devhost.engine.model.commands import (
    CallEntity,
    CancelTimer,
    Command,
    Completed,
    ContinuedAsNew,
    Decision,
    Ending,
    Failed,
    RunActivity,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import Event, Kind, Parent
from devhost.engine.model.instances import Instance, Start, Status
from devhost.engine.model.work_items import Turn
from devhost.engine.storage.episode_commit import TurnCommit
from devhost.engine.storage.store import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The messages of one turn: what they say, and the rows that they are."""

    events: tuple[Event, ...]
    consumed: tuple[int, ...]


def read(inbox: list[Message]) -> Reading:
    return Reading(events=tuple(one.event for one in inbox), consumed=tuple(one.seq for one in inbox))


def turn_of(instance: Instance, past: list[Event], reading: Reading, at: float) -> Turn:
    new = (Event(kind=Kind.TURN_STARTED, at=at), *reading.events)
    return Turn(instance=instance, past=tuple(past), new=new)


def terminated(turn: Turn) -> Event | None:
    return next((event for event in turn.new if event.kind is Kind.TERMINATED), None)


def is_suspended(turn: Turn) -> bool:
    switches = [e.kind for e in (*turn.past, *turn.new) if e.kind in {Kind.SUSPENDED, Kind.RESUMED}]
    return bool(switches) and switches[-1] is Kind.SUSPENDED


def scheduled_event(command: Command, execution: str, at: float) -> Event | None:
    match command:
        case RunActivity():
            return Event(kind=Kind.ACTIVITY_SCHEDULED, at=at, id=command.id, name=command.name, input=command.input)
        case StartTimer():
            return Event(kind=Kind.TIMER_CREATED, at=at, id=command.id, fire_at=command.fire_at)
        case StartChild():
            return Event(
                kind=Kind.CHILD_CREATED,
                at=at,
                id=command.id,
                name=command.name,
                instance=command.instance,
                input=command.input,
                version=command.version,
            )
        case CallEntity() | SignalEntity():
            return Event(
                kind=Kind.ENTITY_CALLED if isinstance(command, CallEntity) else Kind.ENTITY_SIGNALLED,
                at=at,
                id=command.id,
                name=command.operation,
                instance=command.entity,
                input=command.input,
                execution=execution,
                fire_at=command.due if isinstance(command, SignalEntity) else None,
            )
        case CancelTimer():
            return None


def reply_event(ending: Ending | None, parent: Parent, at: float) -> Event | None:
    match ending:
        case Completed():
            return Event(kind=Kind.CHILD_COMPLETED, at=at, task=parent.task, result=ending.output)
        case Failed():
            return Event(kind=Kind.CHILD_FAILED, at=at, task=parent.task, reason=ending.reason, details=ending.details)
        case _:
            return None


def status_after(turn: Turn, ending: Ending | None) -> tuple[Status, str | None]:
    match ending:
        case Completed():
            return Status.COMPLETED, ending.output
        case Failed():
            return Status.FAILED, ending.reason
        case _:
            return (Status.SUSPENDED if is_suspended(turn) else Status.RUNNING), None


def commit_of(turn: Turn, reading: Reading, decision: Decision, at: float) -> TurnCommit:
    status, output = status_after(turn, decision.ending)
    scheduled = [e for command in decision.commands if (e := scheduled_event(command, turn.instance.execution, at))]
    events = (*turn.new, *scheduled, Event(kind=Kind.TURN_COMPLETED, at=at))
    return finish(turn, reading, decision, (events, status, output), at)


def terminate_of(turn: Turn, reading: Reading, reason: str, at: float) -> TurnCommit:
    """An instance that is told to end does so at once, without asking the user's code."""
    ending = Failed(reason=reason)
    return finish(turn, reading, Decision(ending=ending), (turn.new, Status.TERMINATED, reason), at)


def finish(
    turn: Turn, reading: Reading, decision: Decision, state: tuple[tuple[Event, ...], Status, str | None], at: float
) -> TurnCommit:
    events, status, output = state
    instance, ending = turn.instance, decision.ending
    ended = status not in {Status.RUNNING, Status.SUSPENDED}
    completed = (Event(kind=Kind.COMPLETED, at=at, status=status, result=output),) if ended else ()
    return TurnCommit(
        instance=instance.id,
        execution=instance.execution,
        name=instance.name,
        trace=instance.trace,
        at=at,
        consumed=reading.consumed,
        first=len(turn.past),
        events=(*events, *completed),
        commands=decision.commands,
        status=status,
        output=output,
        custom_status=decision.custom_status,
        reply=reply_of(instance, ending, at),
        restart=restart_of(instance, ending, at) if isinstance(ending, ContinuedAsNew) else None,
    )


def reply_of(instance: Instance, ending: Ending | None, at: float) -> tuple[Parent, Event] | None:
    if instance.parent is None:
        return None
    event = reply_event(ending, instance.parent, at)
    return (instance.parent, event) if event else None


def restart_of(instance: Instance, ending: ContinuedAsNew, at: float) -> tuple[Start, tuple[Event, ...]]:
    start = Start(
        id=instance.id,
        execution=uuid5(NAMESPACE_OID, f"{instance.execution}:next").hex,
        name=instance.name,
        at=at,
        input=ending.input,
        version=instance.version,
        trace=instance.trace,
        parent=instance.parent,
    )
    return start, ending.carried

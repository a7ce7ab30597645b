"""How does an orchestrator's decision become a commit? Pure functions without input or output."""

from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from devhost.engine.model.commands import (
    CallEntity,
    CancelTimer,
    Completed,
    ContinuedAsNew,
    ExecutionOutcome,
    Failed,
    OrchestratorCommand,
    OrchestratorDecision,
    RunActivity,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEvent, HistoryEventKind, ParentInstance
from devhost.engine.model.instances import OrchestrationInstance, OrchestrationStart, RuntimeStatus
from devhost.engine.model.work_items import ActivityWorkItem, Episode
from devhost.engine.storage.episode_commit import EpisodeCommit
from devhost.engine.storage.store import InboxMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeInbox:
    """The messages of one episode: their events and the row numbers to delete."""

    events: tuple[HistoryEvent, ...]
    consumed: tuple[int, ...]


def read_inbox(inbox: list[InboxMessage]) -> EpisodeInbox:
    return EpisodeInbox(events=tuple(one.event for one in inbox), consumed=tuple(one.seq for one in inbox))


def new_episode(
    instance: OrchestrationInstance, past_events: list[HistoryEvent], inbox: EpisodeInbox, at: float
) -> Episode:
    new = (HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=at), *inbox.events)
    return Episode(instance=instance, past_events=tuple(past_events), new_events=new)


def termination_event(episode: Episode) -> HistoryEvent | None:
    return next((event for event in episode.new_events if event.kind is HistoryEventKind.TERMINATED), None)


def is_suspended(episode: Episode) -> bool:
    switches = [
        e.kind
        for e in (*episode.past_events, *episode.new_events)
        if e.kind in {HistoryEventKind.SUSPENDED, HistoryEventKind.RESUMED}
    ]
    return bool(switches) and switches[-1] is HistoryEventKind.SUSPENDED


def scheduled_event(command: OrchestratorCommand, execution: str, at: float) -> HistoryEvent | None:
    match command:
        case RunActivity():
            return HistoryEvent(
                kind=HistoryEventKind.ACTIVITY_SCHEDULED, at=at, id=command.id, name=command.name, input=command.input
            )
        case StartTimer():
            return HistoryEvent(kind=HistoryEventKind.TIMER_CREATED, at=at, id=command.id, fire_at=command.fire_at)
        case StartChild():
            return HistoryEvent(
                kind=HistoryEventKind.CHILD_CREATED,
                at=at,
                id=command.id,
                name=command.name,
                instance=command.instance,
                input=command.input,
                version=command.version,
            )
        case CallEntity() | SignalEntity():
            return HistoryEvent(
                kind=HistoryEventKind.ENTITY_CALLED
                if isinstance(command, CallEntity)
                else HistoryEventKind.ENTITY_SIGNALLED,
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


def reply_event(outcome: ExecutionOutcome | None, parent: ParentInstance, at: float) -> HistoryEvent | None:
    match outcome:
        case Completed():
            return HistoryEvent(kind=HistoryEventKind.CHILD_COMPLETED, at=at, task=parent.task, result=outcome.output)
        case Failed():
            return HistoryEvent(
                kind=HistoryEventKind.CHILD_FAILED,
                at=at,
                task=parent.task,
                reason=outcome.reason,
                details=outcome.details,
            )
        case _:
            return None


def status_after(episode: Episode, outcome: ExecutionOutcome | None) -> tuple[RuntimeStatus, str | None]:
    match outcome:
        case Completed():
            return RuntimeStatus.COMPLETED, outcome.output
        case Failed():
            return RuntimeStatus.FAILED, outcome.reason
        case _:
            return (RuntimeStatus.SUSPENDED if is_suspended(episode) else RuntimeStatus.RUNNING), None


def commit_decision(episode: Episode, inbox: EpisodeInbox, decision: OrchestratorDecision, at: float) -> EpisodeCommit:
    status, output = status_after(episode, decision.outcome)
    scheduled = [e for command in decision.commands if (e := scheduled_event(command, episode.instance.execution, at))]
    events = (*episode.new_events, *scheduled, HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_COMPLETED, at=at))
    return build_commit(episode, inbox, decision, (events, status, output), at)


def commit_termination(episode: Episode, inbox: EpisodeInbox, reason: str, at: float) -> EpisodeCommit:
    """Terminates an instance at once, without calling the user's code."""
    outcome = Failed(reason=reason)
    return build_commit(
        episode,
        inbox,
        OrchestratorDecision(outcome=outcome),
        (episode.new_events, RuntimeStatus.TERMINATED, reason),
        at,
    )


def build_commit(
    episode: Episode,
    inbox: EpisodeInbox,
    decision: OrchestratorDecision,
    state: tuple[tuple[HistoryEvent, ...], RuntimeStatus, str | None],
    at: float,
) -> EpisodeCommit:
    events, status, output = state
    instance, outcome = episode.instance, decision.outcome
    ended = status not in {RuntimeStatus.RUNNING, RuntimeStatus.SUSPENDED}
    completed = (HistoryEvent(kind=HistoryEventKind.COMPLETED, at=at, status=status, result=output),) if ended else ()
    return EpisodeCommit(
        instance=instance.id,
        execution=instance.execution,
        name=instance.name,
        trace=instance.trace,
        at=at,
        consumed=inbox.consumed,
        first_seq=len(episode.past_events),
        events=(*events, *completed),
        commands=decision.commands,
        status=status,
        output=output,
        custom_status=decision.custom_status,
        reply=reply_to_parent(instance, outcome, at),
        restart=next_execution(instance, outcome, at) if isinstance(outcome, ContinuedAsNew) else None,
    )


def reply_to_parent(
    instance: OrchestrationInstance, outcome: ExecutionOutcome | None, at: float
) -> tuple[ParentInstance, HistoryEvent] | None:
    if instance.parent is None:
        return None
    event = reply_event(outcome, instance.parent, at)
    return (instance.parent, event) if event else None


def next_execution(
    instance: OrchestrationInstance, outcome: ContinuedAsNew, at: float
) -> tuple[OrchestrationStart, tuple[HistoryEvent, ...]]:
    start = OrchestrationStart(
        id=instance.id,
        execution=uuid5(NAMESPACE_OID, f"{instance.execution}:next").hex,
        name=instance.name,
        at=at,
        input=outcome.input,
        version=instance.version,
        trace=instance.trace,
        parent=instance.parent,
    )
    return start, outcome.carried_events


def activity_result_event(work: ActivityWorkItem, outcome: Completed | Failed, at: float) -> HistoryEvent:
    match outcome:
        case Completed():
            return HistoryEvent(kind=HistoryEventKind.ACTIVITY_COMPLETED, at=at, task=work.task, result=outcome.output)
        case Failed():
            return HistoryEvent(
                kind=HistoryEventKind.ACTIVITY_FAILED,
                at=at,
                task=work.task,
                reason=outcome.reason,
                details=outcome.details,
            )

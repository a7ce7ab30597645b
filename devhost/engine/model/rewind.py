"""How does a completed instance run again, from its failure or from its start? Pure functions."""

from dataclasses import dataclass
from uuid import uuid4

from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.instances import OrchestrationInstance, OrchestrationStart

WORK_SCHEDULED = frozenset({HistoryEventKind.ACTIVITY_SCHEDULED, HistoryEventKind.CHILD_CREATED})
FAILURES = frozenset({HistoryEventKind.ACTIVITY_FAILED, HistoryEventKind.CHILD_FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindPlan:
    """The events that remain, and the failed children by task id."""

    kept: tuple[HistoryEvent, ...]
    children: dict[int, str]


def plan_rewind(history: list[HistoryEvent]) -> RewindPlan:
    """Removes the failures of the work that was scheduled last, and what was scheduled because of them.

    Earlier failures remain: the orchestrator has retried or caught them, and replay needs them.
    """
    last = max((n for n, event in enumerate(history) if event.kind in WORK_SCHEDULED), default=len(history))
    failures = [(n, event) for n, event in enumerate(history) if event.kind in FAILURES and n > last]
    failed = {event.task for _, event in failures}
    first = failures[0][0] if failures else len(history)
    later = {e.id for e in history[first:] if e.kind is HistoryEventKind.TIMER_CREATED}
    kept = tuple(event for event in history if is_kept(event, failed, later))
    children = {
        e.id: e.instance for e in history if e.kind is HistoryEventKind.CHILD_CREATED and e.id in failed and e.instance
    }
    return RewindPlan(kept=kept, children=children)


def is_kept(event: HistoryEvent, failed: set[int], later: set[int]) -> bool:
    match event.kind:
        case HistoryEventKind.COMPLETED:
            return False
        case HistoryEventKind.ACTIVITY_FAILED | HistoryEventKind.CHILD_FAILED:
            return event.task not in failed
        case HistoryEventKind.ACTIVITY_SCHEDULED:
            return event.id not in failed
        case HistoryEventKind.TIMER_CREATED | HistoryEventKind.TIMER_FIRED:
            return not {event.id, event.task} & later
        case _:
            return True


def without_children(history: tuple[HistoryEvent, ...], children: set[int]) -> tuple[HistoryEvent, ...]:
    """Removes children that can't be rewound, so that they start again."""
    return tuple(
        event for event in history if not (event.kind is HistoryEventKind.CHILD_CREATED and event.id in children)
    )


def restart_of(instance: OrchestrationInstance, at: float, id_: str) -> OrchestrationStart:
    """The same orchestration with the same input."""
    return OrchestrationStart(
        id=id_,
        execution=uuid4().hex,
        name=instance.name,
        at=at,
        input=instance.input,
        version=instance.version,
        trace=instance.trace,
    )

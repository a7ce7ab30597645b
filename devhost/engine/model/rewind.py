"""How does an instance that has ended run again: from its failure on, or from its start? Pure."""

from dataclasses import dataclass
from uuid import uuid4

from devhost.engine.model.events import Event, Kind
from devhost.engine.model.instances import Instance, Start

WORK = frozenset({Kind.ACTIVITY_SCHEDULED, Kind.CHILD_CREATED})
FAILURES = frozenset({Kind.ACTIVITY_FAILED, Kind.CHILD_FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewinding:
    """The history that stays, and the children that failed, by the id of their task."""

    kept: tuple[Event, ...]
    children: dict[int, str]


def rewinding_of(history: list[Event]) -> Rewinding:
    """Forgets the failures of the work that was begun last, and what was scheduled because of them.

    Earlier failures were answered by the orchestrator: retried or caught. They stay, or it would take another way.
    """
    last = max((n for n, event in enumerate(history) if event.kind in WORK), default=len(history))
    failures = [(n, event) for n, event in enumerate(history) if event.kind in FAILURES and n > last]
    failed = {event.task for _, event in failures}
    first = failures[0][0] if failures else len(history)
    later = {e.id for e in history[first:] if e.kind is Kind.TIMER_CREATED}
    kept = tuple(event for event in history if stays(event, failed, later))
    children = {e.id: e.instance for e in history if e.kind is Kind.CHILD_CREATED and e.id in failed and e.instance}
    return Rewinding(kept=kept, children=children)


def stays(event: Event, failed: set[int], later: set[int]) -> bool:
    match event.kind:
        case Kind.COMPLETED:
            return False
        case Kind.ACTIVITY_FAILED | Kind.CHILD_FAILED:
            return event.task not in failed
        case Kind.ACTIVITY_SCHEDULED:
            return event.id not in failed
        case Kind.TIMER_CREATED | Kind.TIMER_FIRED:
            return not {event.id, event.task} & later
        case _:
            return True


def without(history: tuple[Event, ...], children: set[int]) -> tuple[Event, ...]:
    """Children that can't be rewound are begun anew."""
    return tuple(event for event in history if not (event.kind is Kind.CHILD_CREATED and event.id in children))


def start_again(instance: Instance, at: float, id_: str) -> Start:
    """The same orchestration with the same input."""
    return Start(
        id=id_,
        execution=uuid4().hex,
        name=instance.name,
        at=at,
        input=instance.input,
        version=instance.version,
        trace=instance.trace,
    )

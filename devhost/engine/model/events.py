"""Which events make up the history of an instance, independent of any wire protocol?"""

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class HistoryEventKind(StrEnum):
    STARTED = "started"
    ORCHESTRATOR_STARTED = "turn_started"
    ORCHESTRATOR_COMPLETED = "turn_completed"
    ACTIVITY_SCHEDULED = "activity_scheduled"
    ACTIVITY_COMPLETED = "activity_completed"
    ACTIVITY_FAILED = "activity_failed"
    CHILD_CREATED = "child_created"
    CHILD_COMPLETED = "child_completed"
    CHILD_FAILED = "child_failed"
    TIMER_CREATED = "timer_created"
    TIMER_FIRED = "timer_fired"
    EVENT_RAISED = "event_raised"
    ENTITY_CALLED = "entity_called"
    ENTITY_SIGNALLED = "entity_signalled"
    ENTITY_COMPLETED = "entity_completed"
    ENTITY_FAILED = "entity_failed"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    TERMINATED = "terminated"
    REWOUND = "rewound"
    COMPLETED = "completed"


SCHEDULING_KINDS = frozenset(
    {
        HistoryEventKind.ACTIVITY_SCHEDULED,
        HistoryEventKind.CHILD_CREATED,
        HistoryEventKind.TIMER_CREATED,
        HistoryEventKind.ENTITY_CALLED,
        HistoryEventKind.ENTITY_SIGNALLED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentInstance:
    """The instance that waits for this one, and the id of its waiting task."""

    instance: str
    execution: str
    task: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One event of a history. `at` and `fire_at` are seconds since 1970; `input` and `result` are JSON texts.

    `id` numbers what the orchestrator scheduled; on a completion, `task` is the id of the completed task.
    """

    kind: HistoryEventKind
    at: float
    id: int = -1
    task: int = -1
    name: str | None = None
    input: str | None = None
    result: str | None = None
    reason: str | None = None
    details: str | None = None
    fire_at: float | None = None
    instance: str | None = None
    execution: str | None = None
    version: str | None = None
    status: str | None = None
    trace: str | None = None
    parent: ParentInstance | None = None


FIELD_DEFAULTS = {field.name: field.default for field in fields(HistoryEvent)}


def event_to_json(event: HistoryEvent) -> str:
    values: dict[str, Any] = {n: v for n in FIELD_DEFAULTS if (v := getattr(event, n)) != FIELD_DEFAULTS[n]}
    return json.dumps(values | {"parent": parent_to_list(event.parent)} if event.parent else values)


def parent_to_list(parent: ParentInstance) -> list[str | int]:
    return [parent.instance, parent.execution, parent.task, parent.name]


def parent_from_list(values: list[Any]) -> ParentInstance:
    instance, execution, task, name = values
    return ParentInstance(instance=instance, execution=execution, task=task, name=name)


def event_from_json(text: str) -> HistoryEvent:
    values: dict[str, Any] = json.loads(text)
    if "parent" in values:
        values["parent"] = parent_from_list(values["parent"])
    return HistoryEvent(kind=HistoryEventKind(values.pop("kind")), **values)

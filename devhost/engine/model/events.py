"""What happened to an instance, in words that belong to no protocol?"""

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    STARTED = "started"
    TURN_STARTED = "turn_started"
    TURN_COMPLETED = "turn_completed"
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


SCHEDULING = frozenset(
    {
        Kind.ACTIVITY_SCHEDULED,
        Kind.CHILD_CREATED,
        Kind.TIMER_CREATED,
        Kind.ENTITY_CALLED,
        Kind.ENTITY_SIGNALLED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """Who waits for this instance, as which task."""

    instance: str
    execution: str
    task: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of a history. `at` and `fire_at` are seconds since 1970; `input` and `result` JSON texts.

    `id` numbers what the orchestrator scheduled; `task` names, on a completion, the id that it completes.
    """

    kind: Kind
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
    parent: Parent | None = None


DEFAULTS = {field.name: field.default for field in fields(Event)}


def encode(event: Event) -> str:
    values: dict[str, Any] = {n: v for n in DEFAULTS if (v := getattr(event, n)) != DEFAULTS[n]}
    return json.dumps(values | {"parent": encode_parent(event.parent)} if event.parent else values)


def encode_parent(parent: Parent) -> list[str | int]:
    return [parent.instance, parent.execution, parent.task, parent.name]


def decode_parent(values: list[Any]) -> Parent:
    instance, execution, task, name = values
    return Parent(instance=instance, execution=execution, task=task, name=name)


def decode(text: str) -> Event:
    values: dict[str, Any] = json.loads(text)
    if "parent" in values:
        values["parent"] = decode_parent(values["parent"])
    return Event(kind=Kind(values.pop("kind")), **values)

"""How does the SDK see an instance and its history?"""

import json
from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from devhost.engine.model.events import Event, Kind, Parent
from devhost.engine.model.instances import Instance, Status
from devhost.engine.model.work_items import Turn
from devhost.protocol_v1.times import wire_time

type Wire = dict[str, Any]

UPPER_SCHEMA = {"upperSchemaVersion": 1, "upperSchemaVersionNew": 2}
TIMER_LIMITS = {
    "longRunningTimerIntervalDuration": "3.00:00:00",
    "maximumShortTimerDuration": "6.00:00:00",
    "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
}
ORCHESTRATION_STATUS = {Status.COMPLETED: 1, Status.FAILED: 3, Status.TERMINATED: 5}


def parent_to_wire(parent: Parent | None) -> Wire | None:
    if parent is None:
        return None
    instance = {"InstanceId": parent.instance, "ExecutionId": parent.execution}
    return {"Name": parent.name, "OrchestrationInstance": instance, "TaskScheduleId": parent.task, "Version": ""}


def started(event: Event) -> Wire:
    return {
        "OrchestrationInstance": {"InstanceId": event.instance, "ExecutionId": event.execution},
        "ParentInstance": parent_to_wire(event.parent),
        "Name": event.name,
        "Version": event.version or "",
        "Input": event.input,
        "Tags": None,
    }


def activity_scheduled(event: Event) -> Wire:
    return {"Name": event.name, "Version": "", "Input": json.dumps([event.input])}


def child_created(event: Event) -> Wire:
    return {"Name": event.name, "Version": event.version or "", "InstanceId": event.instance, "Input": event.input}


def timer_created(event: Event) -> Wire:
    return {"FireAt": wire_time(event.fire_at or 0.0)}


def timer_fired(event: Event) -> Wire:
    return {"TimerId": event.task, "FireAt": wire_time(event.fire_at or 0.0)}


def succeeded(event: Event) -> Wire:
    return {"TaskScheduledId": event.task, "Result": event.result}


def failed(event: Event) -> Wire:
    return {"TaskScheduledId": event.task, "Reason": event.reason, "Details": event.details}


def raised(event: Event) -> Wire:
    return {"Name": event.name, "Input": event.input}


def request_id(execution: str | None, task: int) -> str:
    """By this the SDK finds the task that an answer belongs to."""
    return str(uuid5(NAMESPACE_OID, f"{execution}:{task}:entity"))


def asked_entity(event: Event) -> Wire:
    asked = {
        "op": event.name,
        "signal": event.kind is Kind.ENTITY_SIGNALLED,
        "id": request_id(event.execution, event.id),
        "input": event.input,
    }
    name = "op" if event.fire_at is None else f"op@{wire_time(event.fire_at)}"
    return {"InstanceId": event.instance, "Name": name, "Input": json.dumps(asked)}


def entity_answered(event: Event) -> Wire:
    failed = {"exceptionType": "Error"} if event.kind is Kind.ENTITY_FAILED else {}
    name = request_id(event.execution, event.task)
    return {"Name": name, "Input": json.dumps({"result": event.result or "null"} | failed)}


def reason(event: Event) -> Wire:
    return {"Reason": event.reason}


def rewound(event: Event) -> Wire:
    """The SDK knows no event of its own for this."""
    return {"Data": f"Rewound: {event.reason}"}


def terminated(event: Event) -> Wire:
    return {"Input": event.reason}


def completed(event: Event) -> Wire:
    return {"OrchestrationStatus": ORCHESTRATION_STATUS[Status(event.status or "Completed")], "Result": event.result}


def nothing(event: Event) -> Wire:
    return {} if event.input is None else {"Input": event.input}


WIRE: dict[Kind, tuple[int, str, Callable[[Event], Wire]]] = {
    Kind.STARTED: (0, "ExecutionStarted", started),
    Kind.COMPLETED: (1, "ExecutionCompleted", completed),
    Kind.TERMINATED: (3, "ExecutionTerminated", terminated),
    Kind.ACTIVITY_SCHEDULED: (4, "TaskScheduled", activity_scheduled),
    Kind.ACTIVITY_COMPLETED: (5, "TaskCompleted", succeeded),
    Kind.ACTIVITY_FAILED: (6, "TaskFailed", failed),
    Kind.CHILD_CREATED: (7, "SubOrchestrationInstanceCreated", child_created),
    Kind.CHILD_COMPLETED: (8, "SubOrchestrationInstanceCompleted", succeeded),
    Kind.CHILD_FAILED: (9, "SubOrchestrationInstanceFailed", failed),
    Kind.TIMER_CREATED: (10, "TimerCreated", timer_created),
    Kind.TIMER_FIRED: (11, "TimerFired", timer_fired),
    Kind.TURN_STARTED: (12, "OrchestratorStarted", nothing),
    Kind.TURN_COMPLETED: (13, "OrchestratorCompleted", nothing),
    Kind.EVENT_RAISED: (15, "EventRaised", raised),
    Kind.ENTITY_CALLED: (14, "EventSent", asked_entity),
    Kind.ENTITY_SIGNALLED: (14, "EventSent", asked_entity),
    Kind.ENTITY_COMPLETED: (15, "EventRaised", entity_answered),
    Kind.ENTITY_FAILED: (15, "EventRaised", entity_answered),
    Kind.REWOUND: (17, "GenericEvent", rewound),
    Kind.SUSPENDED: (19, "ExecutionSuspended", reason),
    Kind.RESUMED: (20, "ExecutionResumed", reason),
}


def event_to_wire(event: Event, *, played: bool) -> Wire:
    number, _, payload = WIRE[event.kind]
    head = {
        "EventType": number,
        "EventId": event.id,
        "IsPlayed": played and event.kind is not Kind.TURN_STARTED,
        "Timestamp": wire_time(event.at),
    }
    return head | payload(event)


def parsed(text: str | None) -> Any:
    """The JSON value of a text; a text that is no JSON stands for itself."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def context_from_turn(turn: Turn) -> str:
    """The JSON that the orchestration trigger receives."""
    instance: Instance = turn.instance
    history = [event_to_wire(event, played=True) for event in turn.past]
    history += [event_to_wire(event, played=False) for event in turn.new]
    context = {
        "history": history,
        "input": parsed(instance.input),
        "instanceId": instance.id,
        "isReplaying": bool(turn.past),
        "parentInstanceId": instance.parent.instance if instance.parent else None,
    }
    return json.dumps(context | UPPER_SCHEMA | TIMER_LIMITS, separators=(",", ":"))

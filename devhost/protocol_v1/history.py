"""How are an instance and its history written in the SDK's JSON?"""

import json
from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from devhost.engine.model.events import HistoryEvent, HistoryEventKind, ParentInstance
from devhost.engine.model.instances import OrchestrationInstance, RuntimeStatus
from devhost.engine.model.work_items import Episode
from devhost.protocol_v1.times import wire_time

type Wire = dict[str, Any]

UPPER_SCHEMA = {"upperSchemaVersion": 1, "upperSchemaVersionNew": 2}
TIMER_LIMITS = {
    "longRunningTimerIntervalDuration": "3.00:00:00",
    "maximumShortTimerDuration": "6.00:00:00",
    "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
}
ORCHESTRATION_STATUS = {RuntimeStatus.COMPLETED: 1, RuntimeStatus.FAILED: 3, RuntimeStatus.TERMINATED: 5}


def parent_to_wire(parent: ParentInstance | None) -> Wire | None:
    if parent is None:
        return None
    instance = {"InstanceId": parent.instance, "ExecutionId": parent.execution}
    return {"Name": parent.name, "OrchestrationInstance": instance, "TaskScheduleId": parent.task, "Version": ""}


def started(event: HistoryEvent) -> Wire:
    return {
        "OrchestrationInstance": {"InstanceId": event.instance, "ExecutionId": event.execution},
        "ParentInstance": parent_to_wire(event.parent),
        "Name": event.name,
        "Version": event.version or "",
        "Input": event.input,
        "Tags": None,
    }


def activity_scheduled(event: HistoryEvent) -> Wire:
    return {"Name": event.name, "Version": "", "Input": json.dumps([event.input])}


def child_created(event: HistoryEvent) -> Wire:
    return {"Name": event.name, "Version": event.version or "", "InstanceId": event.instance, "Input": event.input}


def timer_created(event: HistoryEvent) -> Wire:
    return {"FireAt": wire_time(event.fire_at or 0.0)}


def timer_fired(event: HistoryEvent) -> Wire:
    return {"TimerId": event.task, "FireAt": wire_time(event.fire_at or 0.0)}


def succeeded(event: HistoryEvent) -> Wire:
    return {"TaskScheduledId": event.task, "Result": event.result}


def failed(event: HistoryEvent) -> Wire:
    return {"TaskScheduledId": event.task, "Reason": event.reason, "Details": event.details}


def raised(event: HistoryEvent) -> Wire:
    return {"Name": event.name, "Input": event.input}


def request_id(execution: str | None, task: int) -> str:
    """The SDK finds the task of an entity's response by this id."""
    return str(uuid5(NAMESPACE_OID, f"{execution}:{task}:entity"))


def entity_request(event: HistoryEvent) -> Wire:
    request = {
        "op": event.name,
        "signal": event.kind is HistoryEventKind.ENTITY_SIGNALLED,
        "id": request_id(event.execution, event.id),
        "input": event.input,
    }
    name = "op" if event.fire_at is None else f"op@{wire_time(event.fire_at)}"
    return {"InstanceId": event.instance, "Name": name, "Input": json.dumps(request)}


def entity_response(event: HistoryEvent) -> Wire:
    failed = {"exceptionType": "Error"} if event.kind is HistoryEventKind.ENTITY_FAILED else {}
    name = request_id(event.execution, event.task)
    return {"Name": name, "Input": json.dumps({"result": event.result or "null"} | failed)}


def reason(event: HistoryEvent) -> Wire:
    return {"Reason": event.reason}


def rewound(event: HistoryEvent) -> Wire:
    """The SDK has no event type for a rewind."""
    return {"Data": f"Rewound: {event.reason}"}


def terminated(event: HistoryEvent) -> Wire:
    return {"Input": event.reason}


def completed(event: HistoryEvent) -> Wire:
    return {
        "OrchestrationStatus": ORCHESTRATION_STATUS[RuntimeStatus(event.status or "Completed")],
        "Result": event.result,
    }


def input_only(event: HistoryEvent) -> Wire:
    return {} if event.input is None else {"Input": event.input}


WIRE_FORMATS: dict[HistoryEventKind, tuple[int, str, Callable[[HistoryEvent], Wire]]] = {
    HistoryEventKind.STARTED: (0, "ExecutionStarted", started),
    HistoryEventKind.COMPLETED: (1, "ExecutionCompleted", completed),
    HistoryEventKind.TERMINATED: (3, "ExecutionTerminated", terminated),
    HistoryEventKind.ACTIVITY_SCHEDULED: (4, "TaskScheduled", activity_scheduled),
    HistoryEventKind.ACTIVITY_COMPLETED: (5, "TaskCompleted", succeeded),
    HistoryEventKind.ACTIVITY_FAILED: (6, "TaskFailed", failed),
    HistoryEventKind.CHILD_CREATED: (7, "SubOrchestrationInstanceCreated", child_created),
    HistoryEventKind.CHILD_COMPLETED: (8, "SubOrchestrationInstanceCompleted", succeeded),
    HistoryEventKind.CHILD_FAILED: (9, "SubOrchestrationInstanceFailed", failed),
    HistoryEventKind.TIMER_CREATED: (10, "TimerCreated", timer_created),
    HistoryEventKind.TIMER_FIRED: (11, "TimerFired", timer_fired),
    HistoryEventKind.ORCHESTRATOR_STARTED: (12, "OrchestratorStarted", input_only),
    HistoryEventKind.ORCHESTRATOR_COMPLETED: (13, "OrchestratorCompleted", input_only),
    HistoryEventKind.EVENT_RAISED: (15, "EventRaised", raised),
    HistoryEventKind.ENTITY_CALLED: (14, "EventSent", entity_request),
    HistoryEventKind.ENTITY_SIGNALLED: (14, "EventSent", entity_request),
    HistoryEventKind.ENTITY_COMPLETED: (15, "EventRaised", entity_response),
    HistoryEventKind.ENTITY_FAILED: (15, "EventRaised", entity_response),
    HistoryEventKind.REWOUND: (17, "GenericEvent", rewound),
    HistoryEventKind.SUSPENDED: (19, "ExecutionSuspended", reason),
    HistoryEventKind.RESUMED: (20, "ExecutionResumed", reason),
}


def event_to_wire(event: HistoryEvent, *, played: bool) -> Wire:
    number, _, payload = WIRE_FORMATS[event.kind]
    head = {
        "EventType": number,
        "EventId": event.id,
        "IsPlayed": played and event.kind is not HistoryEventKind.ORCHESTRATOR_STARTED,
        "Timestamp": wire_time(event.at),
    }
    return head | payload(event)


def json_or_text(text: str | None) -> Any:
    """Returns the JSON value of a text, or the text itself if it is not JSON."""
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def context_from_episode(episode: Episode) -> str:
    """The JSON that the orchestration trigger receives."""
    instance: OrchestrationInstance = episode.instance
    history = [event_to_wire(event, played=True) for event in episode.past_events]
    history += [event_to_wire(event, played=False) for event in episode.new_events]
    context = {
        "history": history,
        "input": json_or_text(instance.input),
        "instanceId": instance.id,
        "isReplaying": bool(episode.past_events),
        "parentInstanceId": instance.parent.instance if instance.parent else None,
    }
    return json.dumps(context | UPPER_SCHEMA | TIMER_LIMITS, separators=(",", ":"))

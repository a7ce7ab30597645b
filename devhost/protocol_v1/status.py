"""How does the management API describe an instance?"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devhost.engine.model.events import EventKind, HistoryEvent
from devhost.engine.model.instances import TERMINAL_STATUSES, InstanceQuery, OrchestrationInstance, RuntimeStatus
from devhost.protocol_v1.history import WIRE, event_to_wire, parsed
from devhost.protocol_v1.times import parse_time, status_time, wire_time

DROPPED_EVENTS = frozenset(
    {
        EventKind.ORCHESTRATOR_STARTED,
        EventKind.ORCHESTRATOR_COMPLETED,
        EventKind.ACTIVITY_SCHEDULED,
        EventKind.CHILD_CREATED,
    }
)
DROPPED_KEYS = frozenset({"EventId", "IsPlayed", "TaskScheduledId", "TimerId"})
DROPPED_OF_START = frozenset({"Name", "OrchestrationInstance", "ParentInstance", "Version", "Tags"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Which parts of an instance the caller wants to see."""

    input: bool = True
    history: bool = False
    history_output: bool = False


def flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    return query.get(name, str(default)).lower() == "true"


def show_from_query(query: Mapping[str, str]) -> Show:
    return Show(
        input=flag(query, "showInput", default=True),
        history=flag(query, "showHistory"),
        history_output=flag(query, "showHistoryOutput"),
    )


def status_to_wire(
    instance: OrchestrationInstance, show: Show, history: list[HistoryEvent] | None = None
) -> dict[str, Any]:
    wire = {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": str(instance.status),
        "input": parsed(instance.input) if show.input else None,
        "customStatus": parsed(instance.custom_status),
        "output": parsed(instance.output),
        "createdTime": status_time(instance.created),
        "lastUpdatedTime": status_time(instance.updated),
    }
    return wire if history is None else wire | {"historyEvents": compact(history, show)}


def compact(history: list[HistoryEvent], show: Show) -> list[dict[str, Any]]:
    """The history as people read it: completions carry what was scheduled and when."""
    scheduled = {event.id: event for event in history if event.id >= 0}
    return [entry(event, scheduled, show) for event in history if event.kind not in DROPPED_EVENTS]


def entry(event: HistoryEvent, scheduled: Mapping[int, HistoryEvent], show: Show) -> dict[str, Any]:
    dropped = DROPPED_KEYS | hidden(event, show)
    wire = {key: value for key, value in event_to_wire(event, played=True).items() if key not in dropped}
    wire["EventType"] = WIRE[event.kind][1]
    if event.kind is EventKind.STARTED:
        wire["FunctionName"] = event.name
    cause = scheduled.get(event.task)
    if cause is not None:
        wire["ScheduledTime"] = wire_time(cause.at)
        wire |= {"FunctionName": cause.name} if cause.name else {}
    if "Result" in wire:
        wire["Result"] = parsed(wire["Result"])
    return wire


def hidden(event: HistoryEvent, show: Show) -> frozenset[str]:
    result: set[str] = set() if show.history_output else {"Result"}
    given: set[str] = set() if show.input else {"Input"}
    start: frozenset[str] = DROPPED_OF_START if event.kind is EventKind.STARTED else frozenset()
    return start | result | given


def status_code(instance: OrchestrationInstance, query: Mapping[str, str]) -> int:
    if instance.status is RuntimeStatus.FAILED and flag(query, "returnInternalServerErrorOnFailure"):
        return 500
    return 200 if instance.status in TERMINAL_STATUSES else 202


def statuses_from_text(text: str) -> frozenset[RuntimeStatus]:
    """Raises ValueError for a status that does not exist; some exist only in other hosts."""
    elsewhere = {"ContinuedAsNew", "Canceled", ""}
    return frozenset(RuntimeStatus(one) for one in text.split(",") if one not in elsewhere)


def token_of(instance: OrchestrationInstance) -> str:
    """Where the next page begins; it goes back in the header of the next request."""
    return urlsafe_b64encode(json.dumps([instance.created, instance.id]).encode()).decode()


def place_from_token(token: str) -> tuple[float, str]:
    """Raises ValueError."""
    created, instance = json.loads(urlsafe_b64decode(token))
    return float(created), str(instance)


def limit_from_text(text: str) -> int:
    """Raises ValueError."""
    limit = int(text)
    if limit < 1:
        raise ValueError("top is not a positive number")
    return limit


def query_from_wire(query: Mapping[str, str], token: str | None = None) -> InstanceQuery:
    """Raises ValueError."""
    low, high = query.get("createdTimeFrom"), query.get("createdTimeTo")
    return InstanceQuery(
        created_from=parse_time(low) if low else None,
        created_to=parse_time(high) if high else None,
        statuses=statuses_from_text(query.get("runtimeStatus", "")),
        prefix=query.get("instanceIdPrefix", ""),
        after=place_from_token(token) if token else None,
        limit=limit_from_text(query["top"]) if "top" in query else None,
    )

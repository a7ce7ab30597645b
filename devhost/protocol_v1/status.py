"""How does the management API describe an instance?"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devhost.engine.model.events import HistoryEvent, HistoryEventKind
from devhost.engine.model.instances import TERMINAL_STATUSES, InstanceQuery, OrchestrationInstance, RuntimeStatus
from devhost.protocol_v1.history import WIRE_FORMATS, event_to_wire, json_or_text
from devhost.protocol_v1.times import parse_time, status_time, wire_time

DROPPED_EVENTS = frozenset(
    {
        HistoryEventKind.ORCHESTRATOR_STARTED,
        HistoryEventKind.ORCHESTRATOR_COMPLETED,
        HistoryEventKind.ACTIVITY_SCHEDULED,
        HistoryEventKind.CHILD_CREATED,
    }
)
MOST_INSTANCES = 1_000_000
DROPPED_KEYS = frozenset({"EventId", "IsPlayed", "TaskScheduledId", "TimerId"})
DROPPED_OF_START = frozenset({"Name", "OrchestrationInstance", "ParentInstance", "Version", "Tags"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusParts:
    """The parts of an instance that the caller requests."""

    input: bool = True
    history: bool = False
    history_output: bool = False


def flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    return query.get(name, str(default)).lower() == "true"


def parts_from_query(query: Mapping[str, str]) -> StatusParts:
    return StatusParts(
        input=flag(query, "showInput", default=True),
        history=flag(query, "showHistory"),
        history_output=flag(query, "showHistoryOutput"),
    )


def status_to_wire(
    instance: OrchestrationInstance, parts: StatusParts, history: list[HistoryEvent] | None = None
) -> dict[str, Any]:
    wire = {
        "name": instance.name,
        "instanceId": instance.id,
        "runtimeStatus": str(instance.status),
        "input": json_or_text(instance.input) if parts.input else None,
        "customStatus": json_or_text(instance.custom_status),
        "output": json_or_text(instance.output),
        "createdTime": status_time(instance.created),
        "lastUpdatedTime": status_time(instance.updated),
    }
    return wire if history is None else wire | {"historyEvents": history_entries(history, parts)}


def history_entries(history: list[HistoryEvent], parts: StatusParts) -> list[dict[str, Any]]:
    """The history for people: completions include what was scheduled and when."""
    scheduled = {event.id: event for event in history if event.id >= 0}
    return [history_entry(event, scheduled, parts) for event in history if event.kind not in DROPPED_EVENTS]


def history_entry(event: HistoryEvent, scheduled: Mapping[int, HistoryEvent], parts: StatusParts) -> dict[str, Any]:
    dropped = DROPPED_KEYS | hidden_keys(event, parts)
    wire = {key: value for key, value in event_to_wire(event, played=True).items() if key not in dropped}
    wire["EventType"] = WIRE_FORMATS[event.kind][1]
    if event.kind is HistoryEventKind.STARTED:
        wire["FunctionName"] = event.name
    cause = scheduled.get(event.task)
    if cause is not None:
        wire["ScheduledTime"] = wire_time(cause.at)
        wire |= {"FunctionName": cause.name} if cause.name else {}
    if "Result" in wire:
        wire["Result"] = json_or_text(wire["Result"])
    return wire


def hidden_keys(event: HistoryEvent, parts: StatusParts) -> frozenset[str]:
    hidden_result: set[str] = set() if parts.history_output else {"Result"}
    hidden_input: set[str] = set() if parts.input else {"Input"}
    hidden_start: frozenset[str] = DROPPED_OF_START if event.kind is HistoryEventKind.STARTED else frozenset()
    return hidden_start | hidden_result | hidden_input


def status_code(instance: OrchestrationInstance, query: Mapping[str, str]) -> int:
    if instance.status is RuntimeStatus.FAILED and flag(query, "returnInternalServerErrorOnFailure"):
        return 500
    return 200 if instance.status in TERMINAL_STATUSES else 202


def statuses_from_text(text: str) -> frozenset[RuntimeStatus]:
    """Raises ValueError for an unknown status; statuses that this host never has are ignored."""
    elsewhere = {"ContinuedAsNew", "Canceled", ""}
    return frozenset(RuntimeStatus(one) for one in text.split(",") if one not in elsewhere)


def continuation_token(instance: OrchestrationInstance) -> str:
    """The position of the next page, which the client sends in a header."""
    return urlsafe_b64encode(json.dumps([instance.created, instance.id]).encode()).decode()


def position_from_token(token: str) -> tuple[float, str]:
    """Raises ValueError."""
    try:
        created, instance = json.loads(urlsafe_b64decode(token))
        instance.encode()  # SQLite takes no lone surrogates
        return float(created), str(instance)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise ValueError("the continuation token is not one that this host has returned") from None


def limit_from_text(text: str) -> int:
    """Raises ValueError."""
    limit = int(text)
    if not 1 <= limit <= MOST_INSTANCES:
        raise ValueError(f"top is not a positive number of at most {MOST_INSTANCES}")
    return limit


def query_from_wire(query: Mapping[str, str], token: str | None = None) -> InstanceQuery:
    """Raises ValueError."""
    low, high = query.get("createdTimeFrom"), query.get("createdTimeTo")
    return InstanceQuery(
        created_from=parse_time(low) if low else None,
        created_to=parse_time(high) if high else None,
        statuses=statuses_from_text(query.get("runtimeStatus", "")),
        prefix=query.get("instanceIdPrefix", ""),
        after=position_from_token(token) if token else None,
        limit=limit_from_text(query["top"]) if "top" in query else None,
    )

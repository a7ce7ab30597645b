"""How does a durable host replay an orchestrator after each event, and record the actions that it returns?

The wire is that of Durable Functions 1.x: the whole history goes in as JSON, all actions since the start come out.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, cast

from azure.durable_functions import Orchestrator

from domain.packed_wire import packed_result, plain_request
from orchestrators.respond import respond

START = datetime(2026, 11, 22, 5, 6, 29, tzinfo=UTC)
TURN = timedelta(milliseconds=10)
VERSION = "1.9"
"""`defaultVersion` of host.json, which a test compares."""


class EventType(IntEnum):
    EXECUTION_STARTED = 0
    EXECUTION_COMPLETED = 1
    TASK_SCHEDULED = 4
    TASK_COMPLETED = 5
    TASK_FAILED = 6
    CHILD_CREATED = 7
    CHILD_COMPLETED = 8
    TIMER_CREATED = 10
    TIMER_FIRED = 11
    ORCHESTRATOR_STARTED = 12
    ORCHESTRATOR_COMPLETED = 13
    EVENT_RAISED = 15


SCHEDULING = (EventType.TASK_SCHEDULED, EventType.CHILD_CREATED, EventType.TIMER_CREATED)


class ActionType(IntEnum):
    ACTIVITY = 0
    ACTIVITY_WITH_RETRY = 1
    CHILD = 2
    CONTINUE_AS_NEW = 4
    TIMER = 5
    EVENT = 6
    ANY = 11
    ALL = 12


type Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Completes:
    """An open activity completes: the one with this name, else the last one that was scheduled."""

    result: Any
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Fails:
    """The open activity fails `times` times; the host repeats it by its retry options."""

    reason: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Fires:
    """The open timer fires."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An external event arrives."""

    name: str


type HostEvent = Completes | Fails | Fires | Raised


def replay(
    request: Mapping[str, Any], history: Sequence[Event], orchestrator: Callable[..., Any] = respond
) -> dict[str, Any]:
    """Return the state of an orchestrator after a history, through the SDK."""
    context = {
        "history": history,
        "input": json.dumps(request),
        "instanceId": request["response"],
        "isReplaying": history[1]["IsPlayed"],
        "parentInstanceId": None,
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }
    return json.loads(Orchestrator.create(cast("Any", orchestrator))(json.dumps(context)))


@dataclass(slots=True)
class DurableHost:
    """One instance of an orchestration, by default that of a turn."""

    request: Mapping[str, Any]
    orchestrator: Callable[..., Any] = respond
    history: list[Event] = field(default_factory=list[Event])
    now: datetime = START
    done: bool = False
    version: str = VERSION

    @property
    def next_request(self) -> Any:
        """The input with which the instance goes on in a new history; None where it does not."""
        (actions,) = replay(self.request, self.history, self.orchestrator)["actions"]
        found = [each["input"] for each in actions if each["actionType"] == ActionType.CONTINUE_AS_NEW]
        return json.loads(found[0]) if found else None

    def start(self) -> None:
        self.turn(
            EventType.EXECUTION_STARTED,
            OrchestrationInstance={"InstanceId": self.request["response"], "ExecutionId": "2fc4"},
            ParentInstance=None,
            Name=self.orchestrator.__name__,
            Version=self.version,
            Input=json.dumps(json.dumps(self.request)),
            Tags=None,
        )

    def apply(self, event: HostEvent) -> None:
        match event:
            case Completes(result=result, name=name):
                opened = self.open(EventType.TASK_SCHEDULED, name)
                given = packed_result(opened["Name"], request_of(opened), result)
                self.turn(EventType.TASK_COMPLETED, TaskScheduledId=opened["EventId"], Result=json.dumps(given))
            case Fails(reason=reason, times=times):
                for _ in range(times):
                    opened = self.open(EventType.TASK_SCHEDULED)
                    message = f"Activity function '{opened['Name']}' failed:  {reason}"
                    self.turn(EventType.TASK_FAILED, TaskScheduledId=opened["EventId"], Reason=message, Details="{}")
                    self.apply(Fires())
            case Fires():
                timer = self.open(EventType.TIMER_CREATED)
                self.now = max(self.now, datetime.fromisoformat(timer["FireAt"]))
                self.turn(EventType.TIMER_FIRED, TimerId=timer["EventId"], FireAt=timer["FireAt"])
            case Raised(name=name):
                self.turn(EventType.EVENT_RAISED, Name=name, Input="{}")

    def open(self, kind: EventType, name: str | None = None) -> Event:
        """Return the last activity (with this name) or timer that was scheduled."""
        found = (event for event in reversed(self.history) if event["EventType"] == kind)
        return next(event for event in found if name in (None, event.get("Name")))

    def turn(self, kind: EventType, **fields: Any) -> None:
        """Deliver one event, and record the actions that the orchestrator schedules."""
        self.now += TURN
        self.add(EventType.ORCHESTRATOR_STARTED)
        self.add(kind, **fields)
        state = replay(self.request, self.history, self.orchestrator)
        known = {event["EventId"] for event in self.history if event["EventType"] in SCHEDULING}
        self.history += [event for event in scheduled(state, self.history) if event["EventId"] not in known]
        if state["isDone"]:
            self.done = True
            self.add(EventType.EXECUTION_COMPLETED, OrchestrationStatus=1, Result=json.dumps(state["output"]))
        self.add(EventType.ORCHESTRATOR_COMPLETED)
        for event in self.history:
            event["IsPlayed"] = event["EventType"] != EventType.ORCHESTRATOR_STARTED

    def add(self, kind: EventType, **fields: Any) -> None:
        self.history.append(event_of(kind, self.now, **fields))


def event_of(kind: EventType, at: datetime, *, number: int = -1, **fields: Any) -> Event:
    return {"EventType": kind, "EventId": number, "IsPlayed": False, "Timestamp": stamp(at), **fields}


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def scheduled(state: Mapping[str, Any], history: Sequence[Event]) -> list[Event]:
    """Return the events that all actions so far schedule, numbered like the host's."""
    at = datetime.fromisoformat(history[-1]["Timestamp"])
    (actions,) = state["actions"]
    events: list[Event] = []
    for action in actions:
        events += [
            {**event, "EventId": len(events) + index}
            for index, event in enumerate(events_of(action, len(events), history, at))
        ]
    return events


def events_of(action: Mapping[str, Any], first: int, history: Sequence[Event], at: datetime) -> Iterator[Event]:
    match ActionType(action["actionType"]):
        case ActionType.ALL:
            yield from tasks_of(action["compoundActions"], first, history, at)
        case ActionType.ANY:
            for child in action["compoundActions"]:
                yield from events_of(child, first, history, at)
        case ActionType.TIMER:
            fire_at = datetime.fromisoformat(action["fireAt"])
            yield event_of(EventType.TIMER_CREATED, at, FireAt=stamp(fire_at))
        case ActionType.CHILD:
            yield child_of(action, at)
        case ActionType.EVENT | ActionType.CONTINUE_AS_NEW:
            return
        case ActionType.ACTIVITY | ActionType.ACTIVITY_WITH_RETRY:
            raise AssertionError("the SDK wraps every activity in a compound action, a single one with retries too")


def tasks_of(
    children: Sequence[Mapping[str, Any]], first: int, history: Sequence[Event], at: datetime
) -> Iterator[Event]:
    if "retryOptions" in children[0]:
        yield from tries_of(children[0], first, history, at)
    else:
        yield from (task_of(child, at) for child in children)


def task_of(action: Mapping[str, Any], at: datetime) -> Event:
    return child_of(action, at) if action["actionType"] == ActionType.CHILD else activity_of(action, at)


def child_of(action: Mapping[str, Any], at: datetime) -> Event:
    request, instance = json.dumps(action["input"]), action["instanceId"]
    return event_of(EventType.CHILD_CREATED, at, Name=action["functionName"], InstanceId=instance, Input=request)


def activity_of(action: Mapping[str, Any], at: datetime) -> Event:
    request = json.dumps([action["input"]])
    return event_of(EventType.TASK_SCHEDULED, at, Name=action["functionName"], Version="", Input=request)


def tries_of(action: Mapping[str, Any], first: int, history: Sequence[Event], at: datetime) -> Iterator[Event]:
    """Return the tries of an activity and the timers after failed ones; the last timer fires at once."""
    options = action["retryOptions"]
    interval = timedelta(milliseconds=options["firstRetryIntervalInMilliseconds"])
    for number in range(options["maxNumberOfAttempts"]):
        task = first + 2 * number
        yield activity_of(action, at)
        if not has_event(history, EventType.TASK_FAILED, "TaskScheduledId", task):
            return
        last = number + 1 == options["maxNumberOfAttempts"]
        yield event_of(EventType.TIMER_CREATED, at, FireAt=stamp(at if last else at + interval))
        if not has_event(history, EventType.TIMER_FIRED, "TimerId", task + 1):
            return


def has_event(history: Sequence[Event], kind: EventType, name: str, number: int) -> bool:
    return any(event["EventType"] == kind and event[name] == number for event in history)


def steps(history: Sequence[Event]) -> list[str]:
    """Return the names of the scheduled activities and `timer`, in order."""
    return [event.get("Name", "timer") for event in history if event["EventType"] in SCHEDULING]


def requests_of(history: Sequence[Event], name: str) -> list[dict[str, Any]]:
    """Return the requests of the activities with this name, in order."""
    found = [event for event in history if event["EventType"] == EventType.TASK_SCHEDULED and event["Name"] == name]
    return [plain_request(name, request_of(event)) for event in found]


def request_of(event: Event) -> Any:
    """Return the request of an activity as it was scheduled."""
    return json.loads(json.loads(event["Input"])[0])


def turns_of(history: Sequence[Event]) -> Iterator[tuple[Sequence[Event], Sequence[Event]]]:
    """Return for every turn the history before it and the history after it."""
    begins = [index for index, event in enumerate(history) if event["EventType"] == EventType.ORCHESTRATOR_STARTED]
    for begin, end in zip(begins, [*begins[1:], len(history)], strict=True):
        yield history[: begin + 2], history[:end]

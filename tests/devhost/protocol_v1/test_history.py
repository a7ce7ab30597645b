"""Does the SDK receive histories like those of the real host?"""

import json
from typing import Any

import pytest
from azure.durable_functions.models.history import HistoryEvent as SdkHistoryEvent
from hypothesis import given
from hypothesis import strategies as st

from devhost.engine.model.events import HistoryEvent, HistoryEventKind, ParentInstance, event_from_json, event_to_json
from devhost.engine.model.instances import OrchestrationInstance, RuntimeStatus
from devhost.engine.model.work_items import Episode
from devhost.protocol_v1.history import WIRE_FORMATS, context_from_episode, event_to_wire, request_id

AT = 1795323989.18893
STAMP = "2026-11-22T05:06:29.1889300Z"
REQUEST = request_id("e", 9)
PARENT = ParentInstance(instance="p", execution="e", task=8, name="parent")

EVENTS: list[tuple[HistoryEvent, dict[str, Any]]] = [
    (
        HistoryEvent(
            kind=HistoryEventKind.STARTED,
            at=AT,
            name="o",
            input='"{\\"n\\": 3}"',
            instance="i1",
            execution="2fc4",
            parent=PARENT,
        ),
        {
            "EventType": 0,
            "OrchestrationInstance": {"InstanceId": "i1", "ExecutionId": "2fc4"},
            "ParentInstance": {
                "Name": "parent",
                "OrchestrationInstance": {"InstanceId": "p", "ExecutionId": "e"},
                "TaskScheduleId": 8,
                "Version": "",
            },
            "Name": "o",
            "Version": "",
            "Input": '"{\\"n\\": 3}"',
            "Tags": None,
        },
    ),
    (
        HistoryEvent(kind=HistoryEventKind.ACTIVITY_SCHEDULED, at=AT, id=0, name="hello", input='"Bob"'),
        {"EventType": 4, "EventId": 0, "Name": "hello", "Version": "", "Input": '["\\"Bob\\""]'},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.ACTIVITY_COMPLETED, at=AT, task=0, result='"Hello Bob"'),
        {"EventType": 5, "TaskScheduledId": 0, "Result": '"Hello Bob"'},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.ACTIVITY_FAILED, at=AT, task=1, reason="r", details="d"),
        {"EventType": 6, "TaskScheduledId": 1, "Reason": "r", "Details": "d"},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.CHILD_CREATED, at=AT, id=8, name="c", instance="e:8", input='"x"'),
        {"EventType": 7, "EventId": 8, "Name": "c", "Version": "", "InstanceId": "e:8", "Input": '"x"'},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.CHILD_COMPLETED, at=AT, task=8, result="[1]"),
        {"EventType": 8, "TaskScheduledId": 8, "Result": "[1]"},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.CHILD_FAILED, at=AT, task=8, reason="r", details="d"),
        {"EventType": 9, "TaskScheduledId": 8, "Reason": "r", "Details": "d"},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.TIMER_CREATED, at=AT, id=2, fire_at=AT + 1),
        {"EventType": 10, "EventId": 2, "FireAt": "2026-11-22T05:06:30.1889300Z"},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.TIMER_FIRED, at=AT, task=2, fire_at=AT + 1),
        {"EventType": 11, "TimerId": 2, "FireAt": "2026-11-22T05:06:30.1889300Z"},
    ),
    (HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=AT), {"EventType": 12}),
    (HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_COMPLETED, at=AT), {"EventType": 13}),
    (
        HistoryEvent(kind=HistoryEventKind.EVENT_RAISED, at=AT, name="go", input="1"),
        {"EventType": 15, "Name": "go", "Input": "1"},
    ),
    (
        HistoryEvent(
            kind=HistoryEventKind.ENTITY_CALLED, at=AT, id=9, name="add", instance="@c@k", input='"7"', execution="e"
        ),
        {
            "EventType": 14,
            "EventId": 9,
            "InstanceId": "@c@k",
            "Name": "op",
            "Input": f'{{"op": "add", "signal": false, "id": "{REQUEST}", "input": "\\"7\\""}}',
        },
    ),
    (
        HistoryEvent(kind=HistoryEventKind.ENTITY_SIGNALLED, at=AT, id=9, name="add", instance="@c@k", execution="e"),
        {
            "EventType": 14,
            "EventId": 9,
            "InstanceId": "@c@k",
            "Name": "op",
            "Input": f'{{"op": "add", "signal": true, "id": "{REQUEST}", "input": null}}',
        },
    ),
    (
        HistoryEvent(kind=HistoryEventKind.ENTITY_COMPLETED, at=AT, task=9, result="7", execution="e"),
        {"EventType": 15, "Name": REQUEST, "Input": '{"result": "7"}'},
    ),
    (
        HistoryEvent(kind=HistoryEventKind.ENTITY_FAILED, at=AT, task=9, result='"bad op"', execution="e"),
        {"EventType": 15, "Name": REQUEST, "Input": '{"result": "\\"bad op\\"", "exceptionType": "Error"}'},
    ),
    (HistoryEvent(kind=HistoryEventKind.SUSPENDED, at=AT, reason="r"), {"EventType": 19, "Reason": "r"}),
    (HistoryEvent(kind=HistoryEventKind.RESUMED, at=AT, reason="r"), {"EventType": 20, "Reason": "r"}),
    (HistoryEvent(kind=HistoryEventKind.REWOUND, at=AT, reason="r"), {"EventType": 17, "Data": "Rewound: r"}),
    (HistoryEvent(kind=HistoryEventKind.TERMINATED, at=AT, reason="r"), {"EventType": 3, "Input": "r"}),
    (
        HistoryEvent(kind=HistoryEventKind.COMPLETED, at=AT, status="Terminated", result="r"),
        {"EventType": 1, "OrchestrationStatus": 5, "Result": "r"},
    ),
]


@pytest.mark.parametrize(("event", "wire"), EVENTS, ids=[event.kind for event, _ in EVENTS])
def test_an_event_looks_as_the_real_host_writes_it(event: HistoryEvent, wire: dict[str, Any]) -> None:
    head = {"EventId": -1, "IsPlayed": False, "Timestamp": STAMP}
    assert event_to_wire(event, played=False) == head | wire


@pytest.mark.parametrize("event", [event for event, _ in EVENTS], ids=[event.kind for event, _ in EVENTS])
def test_the_sdk_can_read_every_event(event: HistoryEvent) -> None:
    read: Any = SdkHistoryEvent(**event_to_wire(event, played=True))
    assert read.is_played is (event.kind is not HistoryEventKind.ORCHESTRATOR_STARTED)
    assert read.timestamp.isoformat() == "2026-11-22T05:06:29.188930+00:00"


def test_every_kind_of_event_has_a_wire_format() -> None:
    assert set(WIRE_FORMATS) == set(HistoryEventKind) == {event.kind for event, _ in EVENTS}


texts = st.none() | st.text(max_size=20)


@given(
    kind=st.sampled_from(list(HistoryEventKind)),
    at=st.floats(min_value=0, max_value=4e9),
    task=st.integers(min_value=-1, max_value=9),
    text=texts,
    parent=st.none()
    | st.builds(ParentInstance, instance=st.text(), execution=st.text(), task=st.integers(), name=st.text()),
)
def test_an_event_survives_a_round_trip_through_the_database(
    kind: HistoryEventKind, at: float, task: int, text: str | None, parent: ParentInstance | None
) -> None:
    event = HistoryEvent(kind=kind, at=at, task=task, name=text, input=text, fire_at=at, parent=parent)
    assert event_from_json(event_to_json(event)) == event


def instance(**more: Any) -> OrchestrationInstance:
    values: dict[str, Any] = {"id": "i1", "execution": "e", "name": "o", "status": RuntimeStatus.RUNNING}
    return OrchestrationInstance(**values, created=AT, updated=AT, **more)


def test_the_context_has_the_fields_that_the_sdk_reads() -> None:
    past = (
        HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=AT),
        EVENTS[0][0],
        HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_COMPLETED, at=AT),
    )
    new = (HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=AT), EVENTS[2][0])
    context = json.loads(
        context_from_episode(
            Episode(instance=instance(input='"{\\"n\\": 3}"', parent=PARENT), past_events=past, new_events=new)
        )
    )
    assert [event["EventType"] for event in context.pop("history")] == [12, 0, 13, 12, 5]
    assert context == {
        "input": '{"n": 3}',
        "instanceId": "i1",
        "isReplaying": True,
        "parentInstanceId": "p",
        "upperSchemaVersion": 1,
        "upperSchemaVersionNew": 2,
        "longRunningTimerIntervalDuration": "3.00:00:00",
        "maximumShortTimerDuration": "6.00:00:00",
        "defaultHttpAsyncRequestSleepTimeMillseconds": 30000,
    }


def test_a_first_episode_is_no_replay() -> None:
    new = (HistoryEvent(kind=HistoryEventKind.ORCHESTRATOR_STARTED, at=AT), EVENTS[0][0])
    context = json.loads(context_from_episode(Episode(instance=instance(), past_events=(), new_events=new)))
    assert (context["isReplaying"], context["input"], context["parentInstanceId"]) == (False, None, None)

"""Is a replay that schedules something else named, in the real host's words?"""

import pytest

from devhost.engine.model.commands import (
    CallEntity,
    RunActivity,
    SchedulingCommand,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import SCHEDULING_KINDS, HistoryEvent, HistoryEventKind
from devhost.protocol_v1.replay.determinism import KIND_OF, QUESTION, TASK_NAMES, find_mismatch, scheduled_before

COMMANDS: list[SchedulingCommand] = [
    RunActivity(id=0, name="add", input="1"),
    StartTimer(id=1, fire_at=100.0),
    StartChild(id=2, name="child", instance="i", input=None),
    CallEntity(id=3, entity="@counter@a", operation="read", input=None),
    SignalEntity(id=4, entity="@counter@a", operation="reset", input=None),
]
KINDS = [
    (HistoryEventKind.ACTIVITY_SCHEDULED, "add"),
    (HistoryEventKind.TIMER_CREATED, None),
    (HistoryEventKind.CHILD_CREATED, "child"),
    (HistoryEventKind.ENTITY_CALLED, "read"),
    (HistoryEventKind.ENTITY_SIGNALLED, "reset"),
]
EVENTS = [HistoryEvent(kind=kind, at=0.0, id=number, name=name) for number, (kind, name) in enumerate(KINDS)]


def before(*events: HistoryEvent) -> dict[int, HistoryEvent]:
    return scheduled_before(events)


def test_every_kind_of_task_has_its_command_and_its_name() -> None:
    assert set(KIND_OF.values()) == set(TASK_NAMES) == set(SCHEDULING_KINDS)


def test_only_what_was_scheduled_is_compared() -> None:
    done = HistoryEvent(kind=HistoryEventKind.ACTIVITY_COMPLETED, at=0.0, task=0)
    assert before(EVENTS[0], done, EVENTS[1]) == {0: EVENTS[0], 1: EVENTS[1]}


def test_the_same_tasks_are_no_mismatch_and_neither_are_further_ones() -> None:
    assert find_mismatch(before(*EVENTS), COMMANDS) is None
    assert find_mismatch(before(*EVENTS[:2]), COMMANDS) is None
    assert find_mismatch({}, []) is None


def test_other_inputs_and_times_are_no_mismatch() -> None:
    assert find_mismatch(before(EVENTS[0]), [RunActivity(id=0, name="add", input="2")]) is None
    assert find_mismatch(before(EVENTS[1]), [COMMANDS[0], StartTimer(id=1, fire_at=5.0, cancelled=True)]) is None


def test_a_task_that_is_not_scheduled_any_more_is_named() -> None:
    assert find_mismatch(before(*EVENTS[:3]), COMMANDS[:2]) == (
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled a sub-orchestration "
        "task with sequence ID 2 and name 'child', but the current replay execution hasn't (yet?) scheduled this task. "
        f"{QUESTION}"
    )


@pytest.mark.parametrize(
    ("event", "instead", "was", "now"),
    [
        (EVENTS[0], RunActivity(id=0, name="sub", input="1"), "an activity task", "an activity task named 'sub'"),
        (EVENTS[0], StartTimer(id=0, fire_at=1.0), "an activity task", "a timer task"),
        (EVENTS[0], StartChild(id=0, name="add", instance="i", input=None), "an activity", "a sub-orchestration task"),
        (
            HistoryEvent(kind=HistoryEventKind.ENTITY_CALLED, at=0.0, id=0, name="read"),
            SignalEntity(id=0, entity="@counter@a", operation="read", input=None),
            "an event send task",
            "an event send task named 'read'",
        ),
    ],
)
def test_another_task_in_its_place_is_named(
    event: HistoryEvent, instead: SchedulingCommand, was: str, now: str
) -> None:
    complaint = find_mismatch(before(event), [instead]) or ""
    assert f"scheduled {was}" in complaint
    assert f"instead scheduled {now}" in complaint


def test_the_first_difference_is_named() -> None:
    complaint = find_mismatch(before(*EVENTS), [COMMANDS[1], COMMANDS[0]]) or ""
    assert "with sequence ID 0 and name 'add'" in complaint

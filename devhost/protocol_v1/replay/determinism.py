"""Does a replay schedule the same tasks as the history?"""

from devhost.engine.model.commands import (
    CallEntity,
    RunActivity,
    SchedulingCommand,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import SCHEDULING_KINDS, HistoryEvent, HistoryEventKind

KIND_OF = {
    RunActivity: HistoryEventKind.ACTIVITY_SCHEDULED,
    StartChild: HistoryEventKind.CHILD_CREATED,
    StartTimer: HistoryEventKind.TIMER_CREATED,
    CallEntity: HistoryEventKind.ENTITY_CALLED,
    SignalEntity: HistoryEventKind.ENTITY_SIGNALLED,
}
TASK_NAMES = {
    HistoryEventKind.ACTIVITY_SCHEDULED: "an activity task",
    HistoryEventKind.CHILD_CREATED: "a sub-orchestration task",
    HistoryEventKind.TIMER_CREATED: "a timer task",
    HistoryEventKind.ENTITY_CALLED: "an event send task",
    HistoryEventKind.ENTITY_SIGNALLED: "an event send task",
}
QUESTION = "Was a change made to the orchestrator code after this instance had already started running?"


def name_of(command: SchedulingCommand) -> str | None:
    match command:
        case StartTimer():
            return None
        case CallEntity() | SignalEntity():
            return command.operation
        case _:
            return command.name


def matches(command: SchedulingCommand, event: HistoryEvent) -> bool:
    return KIND_OF[type(command)] is event.kind and name_of(command) == event.name


def describe_task(kind: HistoryEventKind, name: str | None) -> str:
    return f"{TASK_NAMES[kind]}" if name is None else f"{TASK_NAMES[kind]} named '{name}'"


def mismatch_message(event: HistoryEvent, instead: SchedulingCommand | None) -> str:
    name = "" if event.name is None else f" and name '{event.name}'"
    before = (
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
        f"{TASK_NAMES[event.kind]} with sequence ID {event.id}{name}"
    )
    if instead is None:
        return f"{before}, but the current replay execution hasn't (yet?) scheduled this task. {QUESTION}"
    now = describe_task(KIND_OF[type(instead)], name_of(instead))
    return f"{before}, but the current replay execution instead scheduled {now} with this sequence ID. {QUESTION}"


def scheduled_before(past: tuple[HistoryEvent, ...]) -> dict[int, HistoryEvent]:
    return {event.id: event for event in past if event.kind in SCHEDULING_KINDS}


def find_mismatch(before: dict[int, HistoryEvent], commands: list[SchedulingCommand]) -> str | None:
    """Returns the first difference between history and replay in the real host's words, or None."""
    for number, event in sorted(before.items()):
        command = commands[number] if number < len(commands) else None
        if command is None or not matches(command, event):
            return mismatch_message(event, command)
    return None

"""Does the orchestrator still schedule what it scheduled before?"""

from devhost.engine.model.commands import CallEntity, RunActivity, Scheduled, SignalEntity, StartChild, StartTimer
from devhost.engine.model.events import SCHEDULING, Event, Kind

KIND_OF = {
    RunActivity: Kind.ACTIVITY_SCHEDULED,
    StartChild: Kind.CHILD_CREATED,
    StartTimer: Kind.TIMER_CREATED,
    CallEntity: Kind.ENTITY_CALLED,
    SignalEntity: Kind.ENTITY_SIGNALLED,
}
WAS = {
    Kind.ACTIVITY_SCHEDULED: "an activity task",
    Kind.CHILD_CREATED: "a sub-orchestration task",
    Kind.TIMER_CREATED: "a timer task",
    Kind.ENTITY_CALLED: "an event send task",
    Kind.ENTITY_SIGNALLED: "an event send task",
}
QUESTION = "Was a change made to the orchestrator code after this instance had already started running?"


def name_of(command: Scheduled) -> str | None:
    match command:
        case StartTimer():
            return None
        case CallEntity() | SignalEntity():
            return command.operation
        case _:
            return command.name


def same(command: Scheduled, event: Event) -> bool:
    return KIND_OF[type(command)] is event.kind and name_of(command) == event.name


def described(kind: Kind, name: str | None) -> str:
    return f"{WAS[kind]}" if name is None else f"{WAS[kind]} named '{name}'"


def complaint(event: Event, instead: Scheduled | None) -> str:
    name = "" if event.name is None else f" and name '{event.name}'"
    before = (
        "Non-Deterministic workflow detected: A previous execution of this orchestration scheduled "
        f"{WAS[event.kind]} with sequence ID {event.id}{name}"
    )
    if instead is None:
        return f"{before}, but the current replay execution hasn't (yet?) scheduled this task. {QUESTION}"
    now = described(KIND_OF[type(instead)], name_of(instead))
    return f"{before}, but the current replay execution instead scheduled {now} with this sequence ID. {QUESTION}"


def scheduled_before(past: tuple[Event, ...]) -> dict[int, Event]:
    return {event.id: event for event in past if event.kind in SCHEDULING}


def find_complaint(before: dict[int, Event], commands: list[Scheduled]) -> str | None:
    """The first difference between history and this run, in the host's words."""
    for number, event in sorted(before.items()):
        command = commands[number] if number < len(commands) else None
        if command is None or not same(command, event):
            return complaint(event, command)
    return None

"""Is the content of a host's database consistent after any crash?

Reads the file without the engine, so that the engine's code does not decide what is right.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENDED = {"Completed", "Failed", "Terminated"}
COMPLETES = {
    "activity_completed": "activity_scheduled",
    "activity_failed": "activity_scheduled",
    "child_completed": "child_created",
    "child_failed": "child_created",
    "timer_fired": "timer_created",
    "entity_completed": "entity_called",
    "entity_failed": "entity_called",
}
SCHEDULES = {*COMPLETES.values(), "entity_signalled"}

type Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedInstance:
    """One instance as the file records it. `unread` are its messages; `work` and `timers` are task ids."""

    id: str
    execution: str
    status: str
    history: list[Event]
    positions: list[int]
    unread: list[Event]
    work: list[int]
    timers: list[int]

    @property
    def scheduled(self) -> dict[int, Event]:
        return {event["id"]: event for event in self.history if event["kind"] in SCHEDULES}

    @property
    def completions(self) -> list[Event]:
        return [event for event in (*self.history, *self.unread) if event["kind"] in COMPLETES]


def read(path: Path) -> list[RecordedInstance]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT id, execution, status FROM instances ORDER BY created, id").fetchall()
        return [read_instance(database, *row) for row in rows]


def read_instance(database: sqlite3.Connection, instance: str, execution: str, status: str) -> RecordedInstance:
    def texts(statement: str, *values: str) -> list[Event]:
        return [json.loads(text) for (text,) in database.execute(statement, values)]

    def numbers(statement: str, *values: str) -> list[int]:
        return [number for (number,) in database.execute(statement, values)]

    current = (instance, execution)
    return RecordedInstance(
        id=instance,
        execution=execution,
        status=status,
        history=texts("SELECT event FROM history WHERE instance = ? ORDER BY seq", instance),
        positions=numbers("SELECT seq FROM history WHERE instance = ? ORDER BY seq", instance),
        unread=texts("SELECT event FROM inbox WHERE instance = ? AND execution IS ? ORDER BY seq", *current),
        work=numbers("SELECT task FROM work WHERE instance = ? AND execution = ?", *current),
        timers=numbers("SELECT task FROM timers WHERE instance = ? AND execution = ?", *current),
    )


def inconsistencies(path: Path) -> list[str]:
    """Everything that no crash at any moment may leave behind."""
    return [f"{one.id}: {text}" for one in read(path) for text in inconsistencies_of(one)]


def inconsistencies_of(one: RecordedInstance) -> Iterator[str]:
    if one.positions != list(range(len(one.positions))):
        yield f"its history has holes: {one.positions}"
    yield from wrong_completion(one)
    yield from wrong_results(one)
    yield from wrong_timers(one)
    if one.status not in ENDED:
        yield from lost_work(one)


def wrong_completion(one: RecordedInstance) -> Iterator[str]:
    ends = [event["status"] for event in one.history if event["kind"] == "completed"]
    if ends != ([one.status] if one.status in ENDED else []):
        yield f"it is {one.status} and its history tells of the ends {ends}"
    if ends and one.history[-1]["kind"] != "completed":
        yield "something happened after its end"
    if one.status in ENDED and one.timers:
        yield f"it has ended and its timers {one.timers} run"


def wrong_results(one: RecordedInstance) -> Iterator[str]:
    ids = [event["id"] for event in one.history if event["kind"] in SCHEDULES]
    yield from (f"task {task} was begun {n} times" for task, n in Counter(ids).items() if n > 1)
    done = Counter(event["task"] for event in one.completions)
    yield from (f"task {task} has {n} results" for task, n in done.items() if n > 1)
    for event in one.completions:
        begun = one.scheduled.get(event["task"], {"kind": "nothing"})
        if begun["kind"] != COMPLETES[event["kind"]]:
            yield f"{event['kind']} of task {event['task']}, which is {begun['kind']}"


def wrong_timers(one: RecordedInstance) -> Iterator[str]:
    for event in one.completions:
        if event["kind"] == "timer_fired" and event["at"] < one.scheduled[event["task"]]["fire_at"]:
            yield f"timer {event['task']} fired early"
        if event["task"] in {*one.work, *one.timers}:
            yield f"task {event['task']} has its result and is yet to run"


def lost_work(one: RecordedInstance) -> Iterator[str]:
    """Activities that a running instance scheduled and that are neither pending nor completed."""
    done = {event["task"] for event in one.completions}
    for task, event in one.scheduled.items():
        if event["kind"] == "activity_scheduled" and task not in done and task not in one.work:
            yield f"activity {task} is lost"
    if not one.history and not one.unread:
        yield "its start is lost"


def unfinished(path: Path, accepted: list[str]) -> list[str]:
    """Accepted starts that have not completed."""
    status = {one.id: one.status for one in read(path)}
    return [f"{one}: {status.get(one, 'gone')}" for one in accepted if status.get(one) not in ENDED]

"""How does one turn of an orchestrator go into the database?"""

import sqlite3
from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from devhost.engine.model.commands import (
    CallEntity,
    CancelTimer,
    Command,
    RunActivity,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import Event, Kind, Parent, encode
from devhost.engine.model.instances import TERMINAL, Start, Status
from devhost.engine.model.work_items import Work
from devhost.engine.storage.entity_rows import put_later, put_operation
from devhost.engine.storage.rows import find_instance, insert_instance, is_free, put_message
from devhost.engine.storage.store import Store, Timer, started_event


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCommit:
    """`first` is the place of the first of `events` in the history; `restart` begins a new execution."""

    instance: str
    execution: str
    name: str
    trace: str | None
    at: float
    consumed: tuple[int, ...]
    first: int
    events: tuple[Event, ...]
    commands: tuple[Command, ...]
    status: Status
    output: str | None = None
    custom_status: str | None = None
    reply: tuple[Parent, Event] | None = None
    restart: tuple[Start, tuple[Event, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What the commit created that something in memory must now look after."""

    work: tuple[Work, ...] = ()
    timers: tuple[Timer, ...] = ()
    wake: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()


def commit_turn(store: Store, turn: TurnCommit) -> Effects | None:
    """None when the instance was replaced or ended meanwhile: then nothing of the turn counts."""
    with store.transaction() as database:
        if not is_current(database, turn):
            return None
        drop_messages(database, turn.consumed)
        if turn.restart:
            return restart(database, turn, *turn.restart)
        append(database, turn)
        update(database, turn)
        replied = reply(database, turn)
        effects = [apply(database, turn, command) for command in turn.commands]
    return merge([*effects, Effects(wake=replied)])


def is_current(database: sqlite3.Connection, turn: TurnCommit) -> bool:
    found = database.execute("SELECT execution, status FROM instances WHERE id = ?", (turn.instance,)).fetchone()
    return found is not None and found[0] == turn.execution and found[1] not in TERMINAL


def drop_messages(database: sqlite3.Connection, seqs: tuple[int, ...]) -> None:
    database.executemany("DELETE FROM inbox WHERE seq = ?", [(seq,) for seq in seqs])


def restart(database: sqlite3.Connection, turn: TurnCommit, start: Start, carried: tuple[Event, ...]) -> Effects:
    """The same instance with a new execution; unread messages stay, but for those of the old execution."""
    database.execute(
        "UPDATE instances SET execution = ?, updated = ?, input = ?, custom_status = coalesce(?, custom_status) "
        "WHERE id = ?",
        (start.execution, start.at, start.input, turn.custom_status, start.id),
    )
    database.execute("DELETE FROM history WHERE instance = ?", (start.id,))
    database.execute("DELETE FROM timers WHERE instance = ?", (start.id,))
    unread = database.execute("DELETE FROM inbox WHERE instance = ? RETURNING execution, event", (start.id,)).fetchall()
    put_message(database, start.id, started_event(start), start.execution)
    for event in carried:
        put_message(database, start.id, event)
    kept = [(start.id, event) for execution, event in unread if execution is None]
    database.executemany("INSERT INTO inbox (instance, event) VALUES (?, ?)", kept)
    return Effects(wake=(start.id,))


def append(database: sqlite3.Connection, turn: TurnCommit) -> None:
    rows = [(turn.instance, turn.first + n, encode(event)) for n, event in enumerate(turn.events)]
    database.executemany("INSERT INTO history (instance, seq, event) VALUES (?, ?, ?)", rows)


def update(database: sqlite3.Connection, turn: TurnCommit) -> None:
    database.execute(
        "UPDATE instances SET status = ?, updated = ?, output = ?, custom_status = coalesce(?, custom_status) "
        "WHERE id = ?",
        (turn.status, turn.at, turn.output, turn.custom_status, turn.instance),
    )
    if turn.status in TERMINAL:
        database.execute("DELETE FROM timers WHERE instance = ?", (turn.instance,))


def reply(database: sqlite3.Connection, turn: TurnCommit) -> tuple[str, ...]:
    if turn.reply is None:
        return ()
    parent, event = turn.reply
    put_message(database, parent.instance, event, parent.execution)
    return (parent.instance,)


def apply(database: sqlite3.Connection, turn: TurnCommit, command: Command) -> Effects:
    match command:
        case RunActivity():
            return Effects(work=(insert_work(database, turn, command),))
        case StartTimer(cancelled=True):
            return Effects()
        case StartTimer():
            return Effects(timers=(insert_timer(database, turn, command),))
        case CancelTimer():
            key = (turn.instance, turn.execution, command.id)
            database.execute("DELETE FROM timers WHERE instance = ? AND execution = ? AND task = ?", key)
            return Effects()
        case StartChild():
            return Effects(wake=(insert_child(database, turn, command),))
        case CallEntity() | SignalEntity():
            return ask_entity(database, turn, command)


def ask_entity(database: sqlite3.Connection, turn: TurnCommit, command: CallEntity | SignalEntity) -> Effects:
    if isinstance(command, SignalEntity) and command.due is not None:
        row = put_later(database, command.entity, command.operation, command.input, command.due)
        return Effects(timers=(Timer(fire_at=command.due, instance=command.entity, execution="", task=row),))
    parent = Parent(instance=turn.instance, execution=turn.execution, task=command.id, name=turn.name)
    waiting = parent if isinstance(command, CallEntity) else None
    put_operation(database, command.entity, command.operation, command.input, waiting)
    return Effects(entities=(command.entity,))


def insert_work(database: sqlite3.Connection, turn: TurnCommit, command: RunActivity) -> Work:
    values = (turn.instance, turn.execution, command.id, command.name, command.input, turn.trace)
    row = database.execute(
        "INSERT INTO work (instance, execution, task, name, input, trace) VALUES (?, ?, ?, ?, ?, ?)", values
    ).lastrowid
    return Work(
        row=row or 0,
        instance=turn.instance,
        execution=turn.execution,
        task=command.id,
        name=command.name,
        input=command.input,
        trace=turn.trace,
    )


def insert_timer(database: sqlite3.Connection, turn: TurnCommit, command: StartTimer) -> Timer:
    values = (turn.instance, turn.execution, command.id, command.fire_at)
    database.execute("INSERT INTO timers (instance, execution, task, fire_at) VALUES (?, ?, ?, ?)", values)
    return Timer(fire_at=command.fire_at, instance=turn.instance, execution=turn.execution, task=command.id)


def insert_child(database: sqlite3.Connection, turn: TurnCommit, command: StartChild) -> str:
    """Returns who is to be woken: the child, or the parent when the child's id is taken by a running instance."""
    parent = Parent(instance=turn.instance, execution=turn.execution, task=command.id, name=turn.name)
    found = find_instance(database, command.instance)
    if found is not None and not is_free(found):
        reason = f"An Orchestration instance with the status {found.status} already exists."
        refused = Event(kind=Kind.CHILD_FAILED, at=turn.at, task=command.id, reason=reason, details=command.instance)
        put_message(database, turn.instance, refused, turn.execution)
        return turn.instance
    start = child_start(turn, command, parent)
    insert_instance(database, start, started_event(start))
    return command.instance


def child_start(turn: TurnCommit, command: StartChild, parent: Parent) -> Start:
    return Start(
        id=command.instance,
        execution=uuid5(NAMESPACE_OID, f"{turn.execution}:{command.id}").hex,
        name=command.name,
        at=turn.at,
        input=command.input,
        version=command.version,
        trace=turn.trace,
        parent=parent,
    )


def merge(effects: list[Effects]) -> Effects:
    return Effects(
        work=tuple(one for e in effects for one in e.work),
        timers=tuple(one for e in effects for one in e.timers),
        wake=tuple(one for e in effects for one in e.wake),
        entities=tuple(one for e in effects for one in e.entities),
    )

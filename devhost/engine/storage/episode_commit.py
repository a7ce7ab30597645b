"""How is one episode of an orchestrator written to the database?"""

import sqlite3
from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from devhost.engine.model.commands import (
    CallEntity,
    CancelTimer,
    OrchestratorCommand,
    RunActivity,
    SignalEntity,
    StartChild,
    StartTimer,
)
from devhost.engine.model.events import HistoryEvent, HistoryEventKind, ParentInstance, event_to_json
from devhost.engine.model.instances import TERMINAL_STATUSES, OrchestrationStart, RuntimeStatus
from devhost.engine.model.work_items import ActivityWorkItem
from devhost.engine.storage.entity_rows import insert_delayed_signal, insert_operation
from devhost.engine.storage.rows import find_instance, insert_instance, insert_message, is_id_free
from devhost.engine.storage.store import StoredTimer, TaskHubStore, started_event


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeCommit:
    """`first_seq` is the history position of the first of `events`; `restart` starts a new execution."""

    instance: str
    execution: str
    name: str
    trace: str | None
    at: float
    consumed: tuple[int, ...]
    first_seq: int
    events: tuple[HistoryEvent, ...]
    commands: tuple[OrchestratorCommand, ...]
    status: RuntimeStatus
    output: str | None = None
    custom_status: str | None = None
    reply: tuple[ParentInstance, HistoryEvent] | None = None
    restart: tuple[OrchestrationStart, tuple[HistoryEvent, ...]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitEffects:
    """What the commit created and the engine must now run, schedule or wake."""

    work: tuple[ActivityWorkItem, ...] = ()
    timers: tuple[StoredTimer, ...] = ()
    wake: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()


def commit_episode(store: TaskHubStore, episode: EpisodeCommit) -> CommitEffects | None:
    """Returns None and writes nothing if the instance was replaced or has ended meanwhile."""
    with store.transaction() as database:
        if not is_current(database, episode):
            return None
        drop_messages(database, episode.consumed)
        if episode.restart:
            return restart_instance(database, episode, *episode.restart)
        append_history(database, episode)
        update_instance(database, episode)
        replied = reply_to_parent(database, episode)
        effects = [apply_command(database, episode, command) for command in episode.commands]
    return merge_effects([*effects, CommitEffects(wake=replied)])


def is_current(database: sqlite3.Connection, episode: EpisodeCommit) -> bool:
    found = database.execute("SELECT execution, status FROM instances WHERE id = ?", (episode.instance,)).fetchone()
    return found is not None and found[0] == episode.execution and found[1] not in TERMINAL_STATUSES


def drop_messages(database: sqlite3.Connection, seqs: tuple[int, ...]) -> None:
    database.executemany("DELETE FROM inbox WHERE seq = ?", [(seq,) for seq in seqs])


def restart_instance(
    database: sqlite3.Connection, episode: EpisodeCommit, start: OrchestrationStart, carried: tuple[HistoryEvent, ...]
) -> CommitEffects:
    """Starts a new execution of the instance. Unread messages remain, except those for the old execution."""
    database.execute(
        "UPDATE instances SET execution = ?, updated = ?, input = ?, custom_status = coalesce(?, custom_status) "
        "WHERE id = ?",
        (start.execution, start.at, start.input, episode.custom_status, start.id),
    )
    database.execute("DELETE FROM history WHERE instance = ?", (start.id,))
    database.execute("DELETE FROM timers WHERE instance = ?", (start.id,))
    unread = database.execute("DELETE FROM inbox WHERE instance = ? RETURNING execution, event", (start.id,)).fetchall()
    insert_message(database, start.id, started_event(start), start.execution)
    for event in carried:
        insert_message(database, start.id, event)
    kept = [(start.id, event) for execution, event in unread if execution is None]
    database.executemany("INSERT INTO inbox (instance, event) VALUES (?, ?)", kept)
    return CommitEffects(wake=(start.id,))


def append_history(database: sqlite3.Connection, episode: EpisodeCommit) -> None:
    rows = [(episode.instance, episode.first_seq + n, event_to_json(event)) for n, event in enumerate(episode.events)]
    database.executemany("INSERT INTO history (instance, seq, event) VALUES (?, ?, ?)", rows)


def update_instance(database: sqlite3.Connection, episode: EpisodeCommit) -> None:
    database.execute(
        "UPDATE instances SET status = ?, updated = ?, output = ?, custom_status = coalesce(?, custom_status) "
        "WHERE id = ?",
        (episode.status, episode.at, episode.output, episode.custom_status, episode.instance),
    )
    if episode.status in TERMINAL_STATUSES:
        database.execute("DELETE FROM timers WHERE instance = ?", (episode.instance,))


def reply_to_parent(database: sqlite3.Connection, episode: EpisodeCommit) -> tuple[str, ...]:
    if episode.reply is None:
        return ()
    parent, event = episode.reply
    insert_message(database, parent.instance, event, parent.execution)
    return (parent.instance,)


def apply_command(database: sqlite3.Connection, episode: EpisodeCommit, command: OrchestratorCommand) -> CommitEffects:
    match command:
        case RunActivity():
            return CommitEffects(work=(insert_work(database, episode, command),))
        case StartTimer(cancelled=True):
            return CommitEffects()
        case StartTimer():
            return CommitEffects(timers=(insert_timer(database, episode, command),))
        case CancelTimer():
            key = (episode.instance, episode.execution, command.id)
            database.execute("DELETE FROM timers WHERE instance = ? AND execution = ? AND task = ?", key)
            return CommitEffects()
        case StartChild():
            return CommitEffects(wake=(insert_child(database, episode, command),))
        case CallEntity() | SignalEntity():
            return send_to_entity(database, episode, command)


def send_to_entity(
    database: sqlite3.Connection, episode: EpisodeCommit, command: CallEntity | SignalEntity
) -> CommitEffects:
    if isinstance(command, SignalEntity) and command.due is not None:
        row = insert_delayed_signal(database, command.entity, command.operation, command.input, command.due)
        return CommitEffects(
            timers=(StoredTimer(fire_at=command.due, instance=command.entity, execution="", task=row),)
        )
    parent = ParentInstance(instance=episode.instance, execution=episode.execution, task=command.id, name=episode.name)
    waiting = parent if isinstance(command, CallEntity) else None
    insert_operation(database, command.entity, command.operation, command.input, waiting)
    return CommitEffects(entities=(command.entity,))


def insert_work(database: sqlite3.Connection, episode: EpisodeCommit, command: RunActivity) -> ActivityWorkItem:
    values = (episode.instance, episode.execution, command.id, command.name, command.input, episode.trace)
    row = database.execute(
        "INSERT INTO work (instance, execution, task, name, input, trace) VALUES (?, ?, ?, ?, ?, ?)", values
    ).lastrowid
    return ActivityWorkItem(
        row=row or 0,
        instance=episode.instance,
        execution=episode.execution,
        task=command.id,
        name=command.name,
        input=command.input,
        trace=episode.trace,
    )


def insert_timer(database: sqlite3.Connection, episode: EpisodeCommit, command: StartTimer) -> StoredTimer:
    values = (episode.instance, episode.execution, command.id, command.fire_at)
    database.execute("INSERT INTO timers (instance, execution, task, fire_at) VALUES (?, ?, ?, ?)", values)
    return StoredTimer(fire_at=command.fire_at, instance=episode.instance, execution=episode.execution, task=command.id)


def insert_child(database: sqlite3.Connection, episode: EpisodeCommit, command: StartChild) -> str:
    """Returns the instance to wake: the child, or the parent if a running instance has the child's id."""
    parent = ParentInstance(instance=episode.instance, execution=episode.execution, task=command.id, name=episode.name)
    found = find_instance(database, command.instance)
    if found is not None and not is_id_free(found):
        reason = f"An Orchestration instance with the status {found.status} already exists."
        rejected = HistoryEvent(
            kind=HistoryEventKind.CHILD_FAILED, at=episode.at, task=command.id, reason=reason, details=command.instance
        )
        insert_message(database, episode.instance, rejected, episode.execution)
        return episode.instance
    start = child_start(episode, command, parent)
    insert_instance(database, start, started_event(start))
    return command.instance


def child_start(episode: EpisodeCommit, command: StartChild, parent: ParentInstance) -> OrchestrationStart:
    return OrchestrationStart(
        id=command.instance,
        execution=uuid5(NAMESPACE_OID, f"{episode.execution}:{command.id}").hex,
        name=command.name,
        at=episode.at,
        input=command.input,
        version=command.version,
        trace=episode.trace,
        parent=parent,
    )


def merge_effects(effects: list[CommitEffects]) -> CommitEffects:
    return CommitEffects(
        work=tuple(one for e in effects for one in e.work),
        timers=tuple(one for e in effects for one in e.timers),
        wake=tuple(one for e in effects for one in e.wake),
        entities=tuple(one for e in effects for one in e.entities),
    )

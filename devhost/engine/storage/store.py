"""What does each operation of the engine change, all or nothing?

Every public method is one transaction. They run on the storage thread, one at a time.
"""

import contextlib
import sqlite3
from collections.abc import Generator
from dataclasses import dataclass

from devhost.engine.model.events import Event, Kind, decode
from devhost.engine.model.instances import (
    TERMINAL,
    Instance,
    InstanceEndedError,
    InstanceNotFoundError,
    InstanceRunningError,
    Query,
    Start,
)
from devhost.engine.model.work_items import Work, is_entity
from devhost.engine.storage.entity_rows import send_now
from devhost.engine.storage.rows import (
    INSTANCE,
    WORK,
    condition,
    find_instance,
    forget,
    insert_instance,
    instance_from_row,
    is_free,
    put_message,
    read_history,
    work_from_row,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    seq: int
    execution: str | None
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An instance, the events of its history that the reader lacked, and its unread messages."""

    instance: Instance
    history: list[Event]
    inbox: list[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    fire_at: float
    instance: str
    execution: str
    task: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What a host finds to do when it starts."""

    work: list[Work]
    timers: list[Timer]
    instances: list[str]
    entities: list[str]


def started_event(start: Start) -> Event:
    return Event(
        kind=Kind.STARTED,
        at=start.at,
        name=start.name,
        input=start.input,
        instance=start.id,
        execution=start.execution,
        version=start.version,
        trace=start.trace,
        parent=start.parent,
    )


class Store:
    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield self.database
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def start(self, start: Start, *, over: bool = False) -> None:
        """Raises InstanceRunningError when the id belongs to an instance that has not ended; `over` replaces that."""
        with self.transaction() as database:
            found = find_instance(database, start.id)
            if found is not None and not is_free(found) and not over:
                raise InstanceRunningError(found.status)
            insert_instance(database, start, started_event(start))

    def send(self, instance: str, event: Event) -> None:
        """Raises InstanceNotFoundError or InstanceEndedError."""
        with self.transaction() as database:
            found = find_instance(database, instance)
            if found is None:
                raise InstanceNotFoundError(instance)
            if found.status in TERMINAL:
                raise InstanceEndedError(instance)
            put_message(database, instance, event)

    def purge(self, instance: str) -> None:
        """Raises InstanceNotFoundError or InstanceRunningError."""
        with self.transaction() as database:
            found = find_instance(database, instance)
            if found is None:
                raise InstanceNotFoundError(instance)
            if found.status not in TERMINAL:
                raise InstanceRunningError(found.status)
            forget(database, instance)

    def get(self, instance: str) -> Instance | None:
        return find_instance(self.database, instance)

    def history(self, instance: str) -> list[Event]:
        return read_history(self.database, instance)

    def query(self, query: Query) -> list[Instance]:
        where, values = condition(query)
        rows = self.database.execute(
            f"SELECT {INSTANCE} FROM instances WHERE {where} ORDER BY created, id LIMIT ?",  # noqa: S608 - constant columns and conditions
            (*values, -1 if query.limit is None else query.limit),
        ).fetchall()
        return [instance_from_row(row) for row in rows]

    def load(self, instance: str, known: tuple[str, int]) -> Snapshot | None:
        """`known` is the execution and the number of events that the reader has already.

        Messages for an execution that is no more are dropped here.
        """
        found = find_instance(self.database, instance)
        if found is None:
            return None
        execution, count = known
        return Snapshot(
            instance=found,
            history=read_history(self.database, instance, count if execution == found.execution else 0),
            inbox=self.read_inbox(found),
        )

    def read_inbox(self, instance: Instance) -> list[Message]:
        rows = self.database.execute(
            "SELECT seq, execution, event FROM inbox WHERE instance = ? ORDER BY seq", (instance.id,)
        ).fetchall()
        late = [seq for seq, of, _ in rows if of not in {None, instance.execution}]
        if late:
            self.database.executemany("DELETE FROM inbox WHERE seq = ?", [(seq,) for seq in late])
            return self.read_inbox(instance)
        return [Message(seq=seq, execution=of, event=decode(text)) for seq, of, text in rows]

    def finish_work(self, work: Work, event: Event) -> bool:
        """Records the result of an activity, the first time it is told."""
        with self.transaction() as database:
            if database.execute("DELETE FROM work WHERE row = ?", (work.row,)).rowcount == 0:
                return False
            put_message(database, work.instance, event, work.execution)
            return True

    def finish_and_load(self, work: Work, event: Event, known: tuple[str, int]) -> Snapshot | None:
        """Both in one go; None also when the result was told before."""
        return self.load(work.instance, known) if self.finish_work(work, event) else None

    def redeliver(self, row: int) -> int:
        """Counts one more delivery and returns how many there were, 0 when the work was removed."""
        with self.transaction() as database:
            found = database.execute(
                "UPDATE work SET redeliveries = redeliveries + 1 WHERE row = ? RETURNING redeliveries", (row,)
            ).fetchone()
            return found[0] if found else 0

    def drop(self, instance: str) -> None:
        """Messages to an instance that has ended or is no more have no reader."""
        with self.transaction() as database:
            if is_free(find_instance(database, instance)):
                database.execute("DELETE FROM inbox WHERE instance = ?", (instance,))

    def fire(self, timers: list[Timer], at: float) -> list[str]:
        """Turns due timers into messages and sends signals that were kept; returns who has something to read."""
        with self.transaction() as database:
            return [one.instance for one in timers if self.fire_one(database, one, at)]

    @staticmethod
    def fire_one(database: sqlite3.Connection, timer: Timer, at: float) -> bool:
        if is_entity(timer.instance):
            return send_now(database, timer.task)
        key = (timer.instance, timer.execution, timer.task)
        gone = database.execute("DELETE FROM timers WHERE instance = ? AND execution = ? AND task = ?", key)
        if gone.rowcount == 0:
            return False
        event = Event(kind=Kind.TIMER_FIRED, at=at, task=timer.task, fire_at=timer.fire_at)
        put_message(database, timer.instance, event, timer.execution)
        return True

    def timers(self) -> list[Timer]:
        rows = self.database.execute(
            "SELECT fire_at, instance, execution, task FROM timers UNION ALL SELECT due, entity, '', seq FROM later"
        ).fetchall()
        return [Timer(fire_at=f, instance=i, execution=e, task=t) for f, i, e, t in rows]

    def recover(self, running: int) -> Backlog:
        """What an earlier host left.

        Activities are handed out in their order, so many at once: the first of them may have run, and count as lost.
        """
        with self.transaction() as database:
            first = "SELECT row FROM work ORDER BY row LIMIT ?"
            database.execute(f"UPDATE work SET redeliveries = redeliveries + 1 WHERE row IN ({first})", (running,))  # noqa: S608 - constant text
            work = database.execute(f"SELECT {WORK} FROM work ORDER BY row").fetchall()  # noqa: S608 - constant columns
            instances = database.execute("SELECT DISTINCT instance FROM inbox").fetchall()
            entities = database.execute("SELECT DISTINCT entity FROM operations").fetchall()
        return Backlog(
            work=[work_from_row(row) for row in work],
            timers=self.timers(),
            instances=[instance for (instance,) in instances],
            entities=[entity for (entity,) in entities],
        )

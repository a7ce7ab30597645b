"""Which changes of the task hub are atomic?

Every public method is one transaction. The methods run on the storage thread, one at a time.
"""

import contextlib
import sqlite3
from collections.abc import Generator
from dataclasses import dataclass

from devhost.engine.model.events import HistoryEvent, HistoryEventKind, event_from_json
from devhost.engine.model.instances import (
    TERMINAL_STATUSES,
    InstanceEndedError,
    InstanceNotFoundError,
    InstanceQuery,
    InstanceRunningError,
    OrchestrationInstance,
    OrchestrationStart,
)
from devhost.engine.model.work_items import ActivityWorkItem, is_entity_id
from devhost.engine.storage.entity_rows import send_delayed_signal
from devhost.engine.storage.rows import (
    INSTANCE_COLUMNS,
    WORK_COLUMNS,
    delete_instance,
    find_instance,
    insert_instance,
    insert_message,
    instance_from_row,
    is_id_free,
    read_history,
    where_clause,
    work_from_row,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxMessage:
    seq: int
    execution: str | None
    event: HistoryEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSnapshot:
    """An instance, the history events that the reader lacks, and its unread messages."""

    instance: OrchestrationInstance
    history: list[HistoryEvent]
    inbox: list[InboxMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTimer:
    fire_at: float
    instance: str
    execution: str
    task: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredBacklog:
    """The pending work that a host finds when it starts."""

    work: list[ActivityWorkItem]
    timers: list[StoredTimer]
    instances: list[str]
    entities: list[str]


def started_event(start: OrchestrationStart) -> HistoryEvent:
    return HistoryEvent(
        kind=HistoryEventKind.STARTED,
        at=start.at,
        name=start.name,
        input=start.input,
        instance=start.id,
        execution=start.execution,
        version=start.version,
        trace=start.trace,
        parent=start.parent,
    )


class TaskHubStore:
    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    @contextlib.contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        self.roll_back()
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield self.database
            self.database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self.roll_back()
            raise

    def roll_back(self) -> None:
        """Ends a transaction that an error has left open; it would block all later ones.

        SQLite itself has ended it after some errors, and the rollback may fail too.
        """
        if self.database.in_transaction:
            self.database.execute("ROLLBACK")

    def start(self, start: OrchestrationStart, *, replace_running: bool = False) -> None:
        """Raises InstanceRunningError if a running instance has the id, unless `replace_running`."""
        with self.transaction() as database:
            found = find_instance(database, start.id)
            if found is not None and not is_id_free(found) and not replace_running:
                raise InstanceRunningError(found.status)
            insert_instance(database, start, started_event(start))

    def send(self, instance: str, event: HistoryEvent) -> None:
        """Raises InstanceNotFoundError or InstanceEndedError."""
        with self.transaction() as database:
            found = find_instance(database, instance)
            if found is None:
                raise InstanceNotFoundError(instance)
            if found.status in TERMINAL_STATUSES:
                raise InstanceEndedError(instance)
            insert_message(database, instance, event)

    def purge(self, instance: str) -> None:
        """Raises InstanceNotFoundError or InstanceRunningError."""
        with self.transaction() as database:
            found = find_instance(database, instance)
            if found is None:
                raise InstanceNotFoundError(instance)
            if found.status not in TERMINAL_STATUSES:
                raise InstanceRunningError(found.status)
            delete_instance(database, instance)

    def get(self, instance: str) -> OrchestrationInstance | None:
        return find_instance(self.database, instance)

    def history(self, instance: str) -> list[HistoryEvent]:
        return read_history(self.database, instance)

    def query(self, query: InstanceQuery) -> list[OrchestrationInstance]:
        where, values = where_clause(query)
        rows = self.database.execute(
            f"SELECT {INSTANCE_COLUMNS} FROM instances WHERE {where} ORDER BY created, id LIMIT ?",  # noqa: S608 - constant columns and conditions
            (*values, -1 if query.limit is None else query.limit),
        ).fetchall()
        return [instance_from_row(row) for row in rows]

    def load(self, instance: str, known: tuple[str, int]) -> InstanceSnapshot | None:
        """`known` is the execution id and the number of events that the reader already has.

        Deletes messages for earlier executions.
        """
        found = find_instance(self.database, instance)
        if found is None:
            return None
        execution, count = known
        return InstanceSnapshot(
            instance=found,
            history=read_history(self.database, instance, count if execution == found.execution else 0),
            inbox=self.read_inbox(found),
        )

    def read_inbox(self, instance: OrchestrationInstance) -> list[InboxMessage]:
        rows = self.database.execute(
            "SELECT seq, execution, event FROM inbox WHERE instance = ? ORDER BY seq", (instance.id,)
        ).fetchall()
        late = [seq for seq, of, _ in rows if of not in {None, instance.execution}]
        if late:
            self.database.executemany("DELETE FROM inbox WHERE seq = ?", [(seq,) for seq in late])
            return self.read_inbox(instance)
        return [InboxMessage(seq=seq, execution=of, event=event_from_json(text)) for seq, of, text in rows]

    def finish_work(self, work: ActivityWorkItem, event: HistoryEvent) -> bool:
        """Records the result of an activity unless it was recorded before."""
        with self.transaction() as database:
            if database.execute("DELETE FROM work WHERE row = ?", (work.row,)).rowcount == 0:
                return False
            insert_message(database, work.instance, event, work.execution)
            return True

    def finish_and_load(
        self, work: ActivityWorkItem, event: HistoryEvent, known: tuple[str, int]
    ) -> InstanceSnapshot | None:
        """Records a result unless it was recorded before, and loads the instance."""
        self.finish_work(work, event)
        return self.load(work.instance, known)

    def count_redelivery(self, row: int) -> int:
        """Returns the new number of redeliveries, or 0 if the work was removed."""
        with self.transaction() as database:
            found = database.execute(
                "UPDATE work SET redeliveries = redeliveries + 1 WHERE row = ? RETURNING redeliveries", (row,)
            ).fetchone()
            return found[0] if found else 0

    def drop_inbox_of_ended(self, instance: str) -> None:
        """Deletes the messages of an instance that has completed or was removed."""
        with self.transaction() as database:
            if is_id_free(find_instance(database, instance)):
                database.execute("DELETE FROM inbox WHERE instance = ?", (instance,))

    def fire_timers(self, timers: list[StoredTimer], at: float) -> list[str]:
        """Turns due timers into messages and sends delayed signals; returns the ids that have new messages."""
        with self.transaction() as database:
            return [one.instance for one in timers if self.fire_timer(database, one, at)]

    @staticmethod
    def fire_timer(database: sqlite3.Connection, timer: StoredTimer, at: float) -> bool:
        if is_entity_id(timer.instance):
            return send_delayed_signal(database, timer.task)
        key = (timer.instance, timer.execution, timer.task)
        deleted = database.execute("DELETE FROM timers WHERE instance = ? AND execution = ? AND task = ?", key)
        if deleted.rowcount == 0:
            return False
        event = HistoryEvent(kind=HistoryEventKind.TIMER_FIRED, at=at, task=timer.task, fire_at=timer.fire_at)
        insert_message(database, timer.instance, event, timer.execution)
        return True

    def timers(self) -> list[StoredTimer]:
        rows = self.database.execute(
            "SELECT fire_at, instance, execution, task FROM timers UNION ALL SELECT due, entity, '', seq FROM later"
        ).fetchall()
        return [StoredTimer(fire_at=f, instance=i, execution=e, task=t) for f, i, e, t in rows]

    def recover(self, activities: int) -> RecoveredBacklog:
        """Reads the pending work of an earlier host.

        The first `activities` activities may have been running: each counts as delivered again.
        """
        with self.transaction() as database:
            first = "SELECT row FROM work ORDER BY row LIMIT ?"
            database.execute(f"UPDATE work SET redeliveries = redeliveries + 1 WHERE row IN ({first})", (activities,))  # noqa: S608 - constant text
            work = database.execute(f"SELECT {WORK_COLUMNS} FROM work ORDER BY row").fetchall()  # noqa: S608 - constant columns
            instances = database.execute("SELECT DISTINCT instance FROM inbox").fetchall()
            entities = database.execute("SELECT DISTINCT entity FROM operations").fetchall()
            timers = self.timers()
        return RecoveredBacklog(
            work=[work_from_row(row) for row in work],
            timers=timers,
            instances=[instance for (instance,) in instances],
            entities=[entity for (entity,) in entities],
        )

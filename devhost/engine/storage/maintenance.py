"""How are completed instances rewound and removed?

Every function is one transaction.
"""

import sqlite3

from devhost.engine.model.events import HistoryEvent, HistoryEventKind, event_to_json
from devhost.engine.model.instances import InstanceNotFailedError, InstanceNotFoundError, InstanceQuery, RuntimeStatus
from devhost.engine.model.rewind import plan_rewind, without_children
from devhost.engine.storage.rows import delete_instance, find_instance, insert_message, read_history, where_clause
from devhost.engine.storage.store import TaskHubStore

ENDED_STATUSES = frozenset({RuntimeStatus.COMPLETED, RuntimeStatus.FAILED, RuntimeStatus.TERMINATED})


def rewind(store: TaskHubStore, instance: str, reason: str, at: float) -> list[str]:
    """Runs failed work again, also that of failed children; returns the instances to wake.

    Raises InstanceNotFoundError or InstanceNotFailedError.
    """
    with store.transaction() as database:
        found = find_instance(database, instance)
        if found is None:
            raise InstanceNotFoundError(instance)
        if found.status is not RuntimeStatus.FAILED:
            raise InstanceNotFailedError(found.status)
        return rewind_tree(database, instance, HistoryEvent(kind=HistoryEventKind.REWOUND, at=at, reason=reason))


def rewind_tree(database: sqlite3.Connection, instance: str, event: HistoryEvent) -> list[str]:
    rewinding = plan_rewind(read_history(database, instance))
    again = {task: child for task, child in rewinding.children.items() if is_failed(database, child)}
    kept = without_children(rewinding.kept, set(rewinding.children) - set(again))
    database.execute("DELETE FROM history WHERE instance = ?", (instance,))
    rows = [(instance, n, event_to_json(one)) for n, one in enumerate(kept)]
    database.executemany("INSERT INTO history (instance, seq, event) VALUES (?, ?, ?)", rows)
    database.execute(
        "UPDATE instances SET status = ?, output = NULL, updated = ? WHERE id = ?",
        (RuntimeStatus.RUNNING, event.at, instance),
    )
    insert_message(database, instance, event)
    return [instance, *(one for child in again.values() for one in rewind_tree(database, child, event))]


def is_failed(database: sqlite3.Connection, instance: str) -> bool:
    found = find_instance(database, instance)
    return found is not None and found.status is RuntimeStatus.FAILED


def purge_matching(store: TaskHubStore, query: InstanceQuery) -> list[str]:
    """Removes the completed instances that match the query; returns their ids."""
    with store.transaction() as database:
        where, values = where_clause(query)
        rows = database.execute(
            f"SELECT id, status FROM instances WHERE {where}",  # noqa: S608 - constant conditions
            values,
        ).fetchall()
        ended = [instance for instance, status in rows if status in ENDED_STATUSES]
        for instance in ended:
            delete_instance(database, instance)
        return ended

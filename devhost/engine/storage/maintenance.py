"""What becomes of instances that have ended: rewound, removed?

Every function is one transaction.
"""

import sqlite3

from devhost.engine.model.events import Event, Kind, encode
from devhost.engine.model.instances import InstanceNotFailedError, InstanceNotFoundError, Query, Status
from devhost.engine.model.rewind import rewinding_of, without
from devhost.engine.storage.rows import condition, find_instance, forget, put_message, read_history
from devhost.engine.storage.store import Store

ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.TERMINATED})


def rewind(store: Store, instance: str, reason: str, at: float) -> list[str]:
    """Failed work runs again, that of failed children too; returns whom to wake.

    Raises InstanceNotFoundError or InstanceNotFailedError.
    """
    with store.transaction() as database:
        found = find_instance(database, instance)
        if found is None:
            raise InstanceNotFoundError(instance)
        if found.status is not Status.FAILED:
            raise InstanceNotFailedError(found.status)
        return rewind_tree(database, instance, Event(kind=Kind.REWOUND, at=at, reason=reason))


def rewind_tree(database: sqlite3.Connection, instance: str, event: Event) -> list[str]:
    rewinding = rewinding_of(read_history(database, instance))
    again = {task: child for task, child in rewinding.children.items() if is_failed(database, child)}
    kept = without(rewinding.kept, set(rewinding.children) - set(again))
    database.execute("DELETE FROM history WHERE instance = ?", (instance,))
    rows = [(instance, n, encode(one)) for n, one in enumerate(kept)]
    database.executemany("INSERT INTO history (instance, seq, event) VALUES (?, ?, ?)", rows)
    database.execute(
        "UPDATE instances SET status = ?, output = NULL, updated = ? WHERE id = ?", (Status.RUNNING, event.at, instance)
    )
    put_message(database, instance, event)
    return [instance, *(one for child in again.values() for one in rewind_tree(database, child, event))]


def is_failed(database: sqlite3.Connection, instance: str) -> bool:
    found = find_instance(database, instance)
    return found is not None and found.status is Status.FAILED


def purge_many(store: Store, query: Query) -> list[str]:
    """Removes those of the instances that have ended; returns their ids."""
    with store.transaction() as database:
        where, values = condition(query)
        rows = database.execute(
            f"SELECT id, status FROM instances WHERE {where}",  # noqa: S608 - constant conditions
            values,
        ).fetchall()
        ended = [instance for instance, status in rows if status in ENDED]
        for instance in ended:
            forget(database, instance)
        return ended

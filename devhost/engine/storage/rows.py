"""How are the engine's values stored in rows?"""

import json
import sqlite3
from typing import Any

from devhost.engine.model.events import (
    HistoryEvent,
    ParentInstance,
    event_from_json,
    event_to_json,
    parent_from_list,
    parent_to_list,
)
from devhost.engine.model.instances import (
    TERMINAL_STATUSES,
    InstanceQuery,
    OrchestrationInstance,
    OrchestrationStart,
    RuntimeStatus,
)
from devhost.engine.model.work_items import ActivityWorkItem

INSTANCE_COLUMNS = "id, execution, name, status, created, updated, version, input, output, custom_status, trace, parent"
WORK_COLUMNS = "row, instance, execution, task, name, input, trace, redeliveries"


def instance_from_row(row: tuple[Any, ...]) -> OrchestrationInstance:
    names = INSTANCE_COLUMNS.split(", ")
    values: dict[str, Any] = dict(zip(names, row, strict=True))
    values["status"] = RuntimeStatus(values["status"])
    values["parent"] = parent_from_list(json.loads(values["parent"])) if values["parent"] else None
    return OrchestrationInstance(**values)


def work_from_row(row: tuple[Any, ...]) -> ActivityWorkItem:
    return ActivityWorkItem(**dict(zip(WORK_COLUMNS.split(", "), row, strict=True)))


def parent_text(parent: ParentInstance | None) -> str | None:
    return json.dumps(parent_to_list(parent)) if parent else None


def find_instance(database: sqlite3.Connection, instance: str) -> OrchestrationInstance | None:
    row = database.execute(f"SELECT {INSTANCE_COLUMNS} FROM instances WHERE id = ?", (instance,)).fetchone()  # noqa: S608 - constant columns
    return instance_from_row(row) if row else None


def insert_message(
    database: sqlite3.Connection, instance: str, event: HistoryEvent, execution: str | None = None
) -> None:
    """A message without an execution id is for whichever execution reads it."""
    database.execute(
        "INSERT INTO inbox (instance, execution, event) VALUES (?, ?, ?)", (instance, execution, event_to_json(event))
    )


def read_history(database: sqlite3.Connection, instance: str, first: int = 0) -> list[HistoryEvent]:
    rows = database.execute(
        "SELECT event FROM history WHERE instance = ? AND seq >= ? ORDER BY seq", (instance, first)
    ).fetchall()
    return [event_from_json(text) for (text,) in rows]


def delete_instance(database: sqlite3.Connection, instance: str) -> None:
    """Removes everything of an instance, including pending activities and unread messages."""
    for statement in (
        "DELETE FROM instances WHERE id = ?",
        "DELETE FROM history WHERE instance = ?",
        "DELETE FROM inbox WHERE instance = ?",
        "DELETE FROM timers WHERE instance = ?",
        "DELETE FROM work WHERE instance = ?",
        "DELETE FROM losses WHERE id = ?",
    ):
        database.execute(statement, (instance,))


def where_clause(query: InstanceQuery) -> tuple[str, list[Any]]:
    """The WHERE condition of a query and its values."""
    parts: list[tuple[str, tuple[Any, ...]]] = [
        ("created >= ?", (query.created_from or 0.0,)),
        ("created <= ?", (float("inf") if query.created_to is None else query.created_to,)),
        ("substr(id, 1, ?) = ?", (len(query.prefix), query.prefix)),
    ]
    if query.statuses:
        parts.append((f"status IN ({', '.join('?' * len(query.statuses))})", tuple(query.statuses)))
    if query.after:
        parts.append(("(created, id) > (?, ?)", query.after))
    return " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]


def is_id_free(found: OrchestrationInstance | None) -> bool:
    return found is None or found.status in TERMINAL_STATUSES


def insert_instance(database: sqlite3.Connection, start: OrchestrationStart, started: HistoryEvent) -> None:
    """Inserts an instance with its first message; replaces a completed instance with the same id."""
    if database.execute("SELECT 1 FROM instances WHERE id = ?", (start.id,)).fetchone():
        delete_instance(database, start.id)
    values = (
        start.id,
        start.execution,
        start.name,
        RuntimeStatus.PENDING,
        start.at,
        start.at,
        start.version,
        start.input,
    )
    database.execute(
        f"INSERT INTO instances ({INSTANCE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)",  # noqa: S608 - constant columns
        (*values, start.trace, parent_text(start.parent)),
    )
    insert_message(database, start.id, started, start.execution)

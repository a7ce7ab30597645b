"""How do the engine's values lie in rows?"""

import json
import sqlite3
from typing import Any

from devhost.engine.model.events import Event, Parent, decode, decode_parent, encode, encode_parent
from devhost.engine.model.instances import TERMINAL, Instance, Query, Start, Status
from devhost.engine.model.work_items import Work

INSTANCE = "id, execution, name, status, created, updated, version, input, output, custom_status, trace, parent"
WORK = "row, instance, execution, task, name, input, trace, redeliveries"


def instance_from_row(row: tuple[Any, ...]) -> Instance:
    names = INSTANCE.split(", ")
    values: dict[str, Any] = dict(zip(names, row, strict=True))
    values["status"] = Status(values["status"])
    values["parent"] = decode_parent(json.loads(values["parent"])) if values["parent"] else None
    return Instance(**values)


def work_from_row(row: tuple[Any, ...]) -> Work:
    return Work(**dict(zip(WORK.split(", "), row, strict=True)))


def parent_text(parent: Parent | None) -> str | None:
    return json.dumps(encode_parent(parent)) if parent else None


def find_instance(database: sqlite3.Connection, instance: str) -> Instance | None:
    row = database.execute(f"SELECT {INSTANCE} FROM instances WHERE id = ?", (instance,)).fetchone()  # noqa: S608 - constant columns
    return instance_from_row(row) if row else None


def put_message(database: sqlite3.Connection, instance: str, event: Event, execution: str | None = None) -> None:
    """Without an execution the message is for whichever runs when it is read."""
    database.execute(
        "INSERT INTO inbox (instance, execution, event) VALUES (?, ?, ?)", (instance, execution, encode(event))
    )


def read_history(database: sqlite3.Connection, instance: str, first: int = 0) -> list[Event]:
    rows = database.execute(
        "SELECT event FROM history WHERE instance = ? AND seq >= ? ORDER BY seq", (instance, first)
    ).fetchall()
    return [decode(text) for (text,) in rows]


def forget(database: sqlite3.Connection, instance: str) -> None:
    """Everything of an instance, its activities still waiting and its unread messages too."""
    for statement in (
        "DELETE FROM instances WHERE id = ?",
        "DELETE FROM history WHERE instance = ?",
        "DELETE FROM inbox WHERE instance = ?",
        "DELETE FROM timers WHERE instance = ?",
        "DELETE FROM work WHERE instance = ?",
        "DELETE FROM losses WHERE id = ?",
    ):
        database.execute(statement, (instance,))


def condition(query: Query) -> tuple[str, list[Any]]:
    """The WHERE of a query and its values."""
    parts: list[tuple[str, tuple[Any, ...]]] = [
        ("created >= ?", (query.created_from or 0.0,)),
        ("created <= ?", (query.created_to or float("inf"),)),
        ("substr(id, 1, ?) = ?", (len(query.prefix), query.prefix)),
    ]
    if query.statuses:
        parts.append((f"status IN ({', '.join('?' * len(query.statuses))})", tuple(query.statuses)))
    if query.after:
        parts.append(("(created, id) > (?, ?)", query.after))
    return " AND ".join(text for text, _ in parts), [value for _, values in parts for value in values]


def is_free(found: Instance | None) -> bool:
    return found is None or found.status in TERMINAL


def insert_instance(database: sqlite3.Connection, start: Start, started: Event) -> None:
    """A new instance with its first message; an ended one of the same id is replaced."""
    if database.execute("SELECT 1 FROM instances WHERE id = ?", (start.id,)).fetchone():
        forget(database, start.id)
    values = (start.id, start.execution, start.name, Status.PENDING, start.at, start.at, start.version, start.input)
    database.execute(
        f"INSERT INTO instances ({INSTANCE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?)",  # noqa: S608 - constant columns
        (*values, start.trace, parent_text(start.parent)),
    )
    put_message(database, start.id, started, start.execution)

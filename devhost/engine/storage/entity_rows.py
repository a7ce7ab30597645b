"""How do entities and what they are asked lie in rows?"""

import json
import sqlite3

from devhost.engine.model.commands import Completed, Failed
from devhost.engine.model.events import Event, Kind, Parent, decode_parent
from devhost.engine.model.work_items import Batch, BatchOutcome, Entity, Operation
from devhost.engine.storage.rows import parent_text, put_message

LARGEST_BATCH = 50


def put_operation(
    database: sqlite3.Connection, entity: str, name: str, given: str | None, parent: Parent | None
) -> None:
    database.execute(
        "INSERT INTO operations (entity, name, input, parent) VALUES (?, ?, ?, ?)",
        (entity, name, given, parent_text(parent)),
    )


def put_later(database: sqlite3.Connection, entity: str, name: str, given: str | None, due: float) -> int:
    """Keeps a signal until it is due; returns its row."""
    values = (entity, name, given, due)
    return database.execute("INSERT INTO later (entity, name, input, due) VALUES (?, ?, ?, ?)", values).lastrowid or 0


def send_now(database: sqlite3.Connection, row: int) -> bool:
    """A signal that was kept goes to its entity, once."""
    found = database.execute("DELETE FROM later WHERE seq = ? RETURNING entity, name, input", (row,)).fetchone()
    if found is not None:
        entity, name, given = found
        put_operation(database, entity, name, given, None)
    return found is not None


def find_entities(database: sqlite3.Connection, prefix: str = "") -> list[Entity]:
    rows = database.execute(
        "SELECT id, state, updated FROM entities WHERE substr(id, 1, ?) = ? ORDER BY id", (len(prefix), prefix)
    ).fetchall()
    return [Entity(id=entity, state=state, updated=updated) for entity, state, updated in rows]


def state_of(database: sqlite3.Connection, entity: str) -> str | None:
    row = database.execute("SELECT state FROM entities WHERE id = ?", (entity,)).fetchone()
    return row[0] if row else None


def next_batch(database: sqlite3.Connection, entity: str, largest: int) -> Batch | None:
    """None when nobody asks anything of the entity."""
    rows = database.execute(
        "SELECT seq, name, input, parent FROM operations WHERE entity = ? ORDER BY seq LIMIT ?", (entity, largest)
    ).fetchall()
    if not rows:
        return None
    operations = tuple(
        Operation(seq=seq, name=name, input=given, parent=decode_parent(json.loads(parent)) if parent else None)
        for seq, name, given, parent in rows
    )
    return Batch(entity=entity, state=state_of(database, entity), operations=operations)


def answer_event(answer: Completed | Failed, parent: Parent, at: float) -> Event:
    failed = isinstance(answer, Failed)
    return Event(
        kind=Kind.ENTITY_FAILED if failed else Kind.ENTITY_COMPLETED,
        at=at,
        task=parent.task,
        result=answer.reason if failed else answer.output,
        execution=parent.execution,
    )


def write_outcome(database: sqlite3.Connection, batch: Batch, outcome: BatchOutcome, at: float) -> list[str]:
    """Removes the operations, keeps the state, answers the callers; returns whom to wake."""
    database.executemany("DELETE FROM operations WHERE seq = ?", [(one.seq,) for one in batch.operations])
    if outcome.state is None:
        database.execute("DELETE FROM entities WHERE id = ?", (batch.entity,))
    else:
        database.execute("INSERT OR REPLACE INTO entities VALUES (?, ?, ?)", (batch.entity, outcome.state, at))
    called = [(one.parent, a) for one, a in zip(batch.operations, outcome.answers, strict=True) if one.parent]
    for parent, answer in called:
        put_message(database, parent.instance, answer_event(answer, parent, at), parent.execution)
    return [parent.instance for parent, _ in called]

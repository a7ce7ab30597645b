"""How are entities and their operations stored in rows?"""

import json
import sqlite3

from devhost.engine.model.commands import Completed, Failed
from devhost.engine.model.events import HistoryEvent, HistoryEventKind, ParentInstance, parent_from_list
from devhost.engine.model.work_items import Entity, EntityBatch, EntityBatchResult, EntityOperation
from devhost.engine.storage.rows import insert_message, parent_text

MAX_BATCH_OPERATIONS = 50


def insert_operation(
    database: sqlite3.Connection, entity: str, name: str, input_: str | None, parent: ParentInstance | None
) -> None:
    database.execute(
        "INSERT INTO operations (entity, name, input, parent) VALUES (?, ?, ?, ?)",
        (entity, name, input_, parent_text(parent)),
    )


def insert_delayed_signal(database: sqlite3.Connection, entity: str, name: str, input_: str | None, due: float) -> int:
    """Keeps a signal until it is due; returns its row number."""
    values = (entity, name, input_, due)
    return database.execute("INSERT INTO later (entity, name, input, due) VALUES (?, ?, ?, ?)", values).lastrowid or 0


def send_delayed_signal(database: sqlite3.Connection, row: int) -> bool:
    """Moves a delayed signal to the operations of its entity, once."""
    found = database.execute("DELETE FROM later WHERE seq = ? RETURNING entity, name, input", (row,)).fetchone()
    if found is not None:
        entity, name, input_ = found
        insert_operation(database, entity, name, input_, None)
    return found is not None


def find_entities(database: sqlite3.Connection, prefix: str = "") -> list[Entity]:
    rows = database.execute(
        "SELECT id, state, updated FROM entities WHERE substr(id, 1, ?) = ? ORDER BY id", (len(prefix), prefix)
    ).fetchall()
    return [Entity(id=entity, state=state, updated=updated) for entity, state, updated in rows]


def read_state(database: sqlite3.Connection, entity: str) -> str | None:
    row = database.execute("SELECT state FROM entities WHERE id = ?", (entity,)).fetchone()
    return row[0] if row else None


def read_next_batch(database: sqlite3.Connection, entity: str, max_operations: int) -> EntityBatch | None:
    """Returns None if the entity has no operations."""
    rows = database.execute(
        "SELECT seq, name, input, parent FROM operations WHERE entity = ? ORDER BY seq LIMIT ?",
        (entity, max_operations),
    ).fetchall()
    if not rows:
        return None
    operations = tuple(
        EntityOperation(
            seq=seq, name=name, input=input_, parent=parent_from_list(json.loads(parent)) if parent else None
        )
        for seq, name, input_, parent in rows
    )
    return EntityBatch(entity=entity, state=read_state(database, entity), operations=operations)


def operation_result_event(result: Completed | Failed, parent: ParentInstance, at: float) -> HistoryEvent:
    failed = isinstance(result, Failed)
    return HistoryEvent(
        kind=HistoryEventKind.ENTITY_FAILED if failed else HistoryEventKind.ENTITY_COMPLETED,
        at=at,
        task=parent.task,
        result=result.reason if failed else result.output,
        execution=parent.execution,
    )


def write_batch_result(
    database: sqlite3.Connection, batch: EntityBatch, outcome: EntityBatchResult, at: float
) -> list[str]:
    """Removes the operations, writes the state and sends the results; returns the instances to wake."""
    database.executemany("DELETE FROM operations WHERE seq = ?", [(one.seq,) for one in batch.operations])
    if outcome.state is None:
        database.execute("DELETE FROM entities WHERE id = ?", (batch.entity,))
    else:
        database.execute("INSERT OR REPLACE INTO entities VALUES (?, ?, ?)", (batch.entity, outcome.state, at))
    called = [(one.parent, a) for one, a in zip(batch.operations, outcome.results, strict=True) if one.parent]
    for parent, result in called:
        insert_message(database, parent.instance, operation_result_event(result, parent, at), parent.execution)
    return [parent.instance for parent, _ in called]

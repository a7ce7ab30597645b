"""Are the operations of an entity done in their order, once, and answered to their callers?"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.engine.model.commands import Completed, Failed
from devhost.engine.model.events import HistoryEventKind, ParentInstance, event_from_json
from devhost.engine.model.work_items import EntityBatchResult
from devhost.engine.storage.database import connect
from devhost.engine.storage.entity_rows import (
    find_entities,
    insert_delayed_signal,
    insert_operation,
    read_next_batch,
    read_state,
    send_delayed_signal,
    write_batch_result,
)

COUNTER = "@counter@k"
PARENT = ParentInstance(instance="i", execution="e", task=3, name="asks")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    found = connect(tmp_path / "hub.db")
    yield found
    found.close()


def names(database: sqlite3.Connection, entity: str = COUNTER, most: int = 50) -> list[str]:
    batch = read_next_batch(database, entity, most)
    return [each.name for each in batch.operations] if batch else []


def test_operations_come_in_their_order_and_no_more_than_are_asked_for(database: sqlite3.Connection) -> None:
    for name in ("first", "second", "third"):
        insert_operation(database, COUNTER, name, "1", None)
    insert_operation(database, "@counter@other", "other", None, None)
    assert names(database) == ["first", "second", "third"]
    assert names(database, most=2) == ["first", "second"]
    assert names(database, "@counter@nobody") == []


def test_the_state_is_stored_and_each_caller_gets_its_answer(database: sqlite3.Connection) -> None:
    for parent in (PARENT, None, PARENT):
        insert_operation(database, COUNTER, "add", "1", parent)
    batch = read_next_batch(database, COUNTER, 50)
    assert batch is not None
    assert (batch.state, batch.operations[0].parent, batch.operations[1].parent) == (None, PARENT, None)
    results = (Completed(output="1"), Completed(output="2"), Failed(reason='"no"'))
    assert write_batch_result(database, batch, EntityBatchResult(state="2", results=results), 7.0) == ["i", "i"]
    assert (names(database), read_state(database, COUNTER)) == ([], "2")
    rows = database.execute("SELECT instance, execution, event FROM inbox ORDER BY seq").fetchall()
    answers = [event_from_json(text) for _, _, text in rows]
    assert [row[:2] for row in rows] == [("i", "e"), ("i", "e")]
    assert [(each.kind, each.task, each.result) for each in answers] == [
        (HistoryEventKind.ENTITY_COMPLETED, 3, "1"),
        (HistoryEventKind.ENTITY_FAILED, 3, '"no"'),
    ]


def test_an_entity_without_a_state_does_not_exist(database: sqlite3.Connection) -> None:
    for state, found in (("1", ["1"]), ("2", ["2"]), (None, [])):
        insert_operation(database, COUNTER, "set", None, None)
        batch = read_next_batch(database, COUNTER, 50)
        assert batch is not None
        write_batch_result(database, batch, EntityBatchResult(state=state, results=(Completed(output=None),)), 7.0)
        assert [each.state for each in find_entities(database)] == found


def test_entities_are_found_by_the_beginning_of_their_ids(database: sqlite3.Connection) -> None:
    for entity in ("@counter@b", "@counter@a", "@count_r@a"):
        database.execute("INSERT INTO entities VALUES (?, '1', 2.0)", (entity,))
    assert [each.id for each in find_entities(database, "@counter@")] == ["@counter@a", "@counter@b"]
    assert len(find_entities(database)) == 3


def test_a_signal_for_later_goes_out_once(database: sqlite3.Connection) -> None:
    row = insert_delayed_signal(database, COUNTER, "add", "1", 9.0)
    assert names(database) == []
    assert [send_delayed_signal(database, row) for _ in range(2)] == [True, False]
    assert names(database) == ["add"]

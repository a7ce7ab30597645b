"""Is a row whose body is no JSON reported by its id, and does it leave its neighbours alone?"""

import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from clients.storage.port import Add, Container, Create, Delete, DocumentKey
from clients.storage.sqlite.store import SqliteStore
from domain.errors import DamagedRecord
from tests.fakes.clocks import FakeClock

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))
BODIES = {"text": b"no JSON", "no text": b"\xff", "half": b'{"kind": "x"', "list": b"[1]", "nothing": b""}


@pytest.fixture(params=BODIES.values(), ids=list(BODIES))
async def store(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[SqliteStore]:
    """The documents one and two, of which the first is damaged."""
    path = tmp_path / "app.db"
    made = SqliteStore(path, FakeClock())
    for name in ("one", "two"):
        await made.commit(KEY, [Create(id=name, body={"kind": "x", "status": "s", "at": 1.0, "sum": 1})])
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE documents SET body = ? WHERE id = 'one'", (request.param,))
    connection.close()
    yield made
    await made.close()


async def test_a_look_into_the_row_names_it(store: SqliteStore) -> None:
    damaged = await store.read(KEY, "one")
    assert damaged
    for look in (lambda: damaged.body["kind"], lambda: damaged.body.get("kind"), lambda: dict(damaged.body)):
        with pytest.raises(DamagedRecord) as caught:
            look()
        assert caught.value.identifier == "one"


async def test_lists_and_searches_return_its_neighbours(store: SqliteStore) -> None:
    listed = await store.list(KEY, prefix="")
    found = [each.document for each in await store.find(Container.MONEY, kind="x", status="s", before=2.0)]
    for documents in (listed, found):
        assert [each.id for each in documents] == ["one", "two"]
        assert documents[1].body["sum"] == 1


async def test_it_can_be_deleted_and_not_added_to(store: SqliteStore) -> None:
    with pytest.raises(DamagedRecord):
        await store.commit(KEY, [Add(id="one", amounts={"sum": 1})])
    await store.commit(KEY, [Add(id="two", amounts={"sum": 1})])
    await store.commit(KEY, [Delete(id="one")])
    assert [each.body["sum"] for each in await store.list(KEY, prefix="")] == [2]

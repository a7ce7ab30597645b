"""Do the stores that keep bytes return a row that is no JSON, and its neighbours with it?"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from copy import replace
from pathlib import Path

import pytest

from clients.storage.port import Add, Container, Create, Delete, DocumentKey, DocumentStore
from clients.storage.sqlite.store import SqliteStore
from domain.errors import DamagedRecord
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))
BODIES = {"text": b"no JSON", "no text": b"\xff", "half": b'{"kind": "x"', "list": b"[1]", "nothing": b""}

type Damage = Callable[[bytes], None]


def in_memory(_: Path) -> tuple[DocumentStore, Damage]:
    store = MemoryStore(FakeClock())
    return store, lambda data: store.put(KEY, "one", replace(store.rows(KEY)["one"], data=data))


def in_file(folder: Path) -> tuple[DocumentStore, Damage]:
    path = folder / "app.db"

    def damage(data: bytes) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE documents SET body = ? WHERE id = 'one'", (data,))
        connection.close()

    return SqliteStore(path, FakeClock()), damage


@pytest.fixture(params=BODIES.values(), ids=list(BODIES))
def data(request: pytest.FixtureRequest) -> bytes:
    return request.param


@pytest.fixture(params=[in_memory, in_file])
async def store(tmp_path: Path, data: bytes, request: pytest.FixtureRequest) -> AsyncIterator[DocumentStore]:
    """The documents one and two, of which the first is damaged."""
    made, damage = request.param(tmp_path)
    for name, at in (("one", 1.0), ("two", 0.5)):
        await made.commit(KEY, [Create(id=name, body={"kind": "x", "status": "s", "at": at, "sum": 1})])
    damage(data)
    yield made
    await made.close()


async def test_a_look_into_the_row_names_it(store: DocumentStore) -> None:
    damaged = await store.read(KEY, "one")
    assert damaged
    for look in (lambda: damaged.body["kind"], lambda: damaged.body.get("kind"), lambda: dict(damaged.body)):
        with pytest.raises(DamagedRecord) as caught:
            look()
        assert caught.value.identifier == "one"


async def test_lists_and_searches_return_its_neighbours(store: DocumentStore) -> None:
    listed = await store.list(KEY, prefix="")
    assert ([each.id for each in listed], listed[1].body["sum"]) == (["one", "two"], 1)
    found = [each.document for each in await store.find(Container.MONEY, kind="x", status="s", before=2.0)]
    assert ([each.id for each in found], found[0].body["sum"]) == (["two", "one"], 1)
    assert [each.document.id for each in await store.find(Container.MONEY, kind="x", status="s", before=1.0)] == ["two"]


async def test_it_can_be_deleted_and_not_added_to(store: DocumentStore) -> None:
    with pytest.raises(DamagedRecord):
        await store.commit(KEY, [Add(id="one", amounts={"sum": 1})])
    await store.commit(KEY, [Add(id="two", amounts={"sum": 1})])
    await store.commit(KEY, [Delete(id="one")])
    assert [each.body["sum"] for each in await store.list(KEY, prefix="")] == [2]

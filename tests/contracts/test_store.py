"""Does every store do what the port says?"""

import pytest

from clients.store import Container, Create, Key, Store
from domain.errors import Conflict

KEY = Key(container=Container.TURNS, parts=("tenant", "user:1", "a" * 24))


async def test_a_created_document_is_read_back(store: Store) -> None:
    await store.commit(KEY, [Create(id="one", body={"text": "hello"})])
    found = await store.read(KEY, "one")
    assert found is not None
    assert (found.id, found.body) == ("one", {"text": "hello"})


async def test_an_id_is_created_once(store: Store) -> None:
    await store.commit(KEY, [Create(id="one", body={"n": 1})])
    with pytest.raises(Conflict) as failure:
        await store.commit(KEY, [Create(id="one", body={"n": 2})])
    assert failure.value.identifier == "one"

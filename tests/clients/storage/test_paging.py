"""Is all of a partition read and written, in as many calls as the store needs?"""

import pytest

from clients.storage.paging import create_missing, list_all, read_many, write_batches
from clients.storage.port import OPERATIONS_LIMIT, Container, Create, Delete, DocumentKey
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))


async def filled(count: int) -> MemoryStore:
    store = MemoryStore(FakeClock())
    await write_batches(store, KEY, [Create(id=f"a_{number:03}", body={"n": number}) for number in range(count)])
    await store.commit(KEY, [Create(id="b_000", body={})])
    return store


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1000])
async def test_all_documents_are_read_whatever_the_size_of_a_page(size: int) -> None:
    store = await filled(4)
    found = await list_all(store, KEY, prefix="a_", size=size)
    assert [each.id for each in found] == ["a_000", "a_001", "a_002", "a_003"]
    between = await list_all(store, KEY, prefix="a_", after="a_000", before="a_002", size=size)
    assert [each.id for each in between] == ["a_001"]
    assert await list_all(store, KEY, prefix="c_", size=size) == []


async def test_documents_are_read_in_the_order_of_their_ids() -> None:
    found = await read_many(await filled(2), KEY, ["a_001", "none", "a_000"])
    assert [each.body["n"] if each else None for each in found] == [1, None, 0]


async def test_what_exists_is_not_created_again() -> None:
    store = await filled(3)
    count = OPERATIONS_LIMIT + 5
    await create_missing(store, KEY, [Create(id=f"a_{number:03}", body={"n": -1}) for number in range(count)])
    found = await list_all(store, KEY, prefix="a_")
    assert [each.body["n"] for each in found] == [0, 1, 2, *[-1] * (count - 3)]


async def test_more_than_a_commit_may_have_is_written() -> None:
    store = await filled(2 * OPERATIONS_LIMIT + 1)
    assert len(await list_all(store, KEY, prefix="a_")) == 2 * OPERATIONS_LIMIT + 1
    await write_batches(store, KEY, [Delete(id=f"a_{number:03}") for number in range(2 * OPERATIONS_LIMIT + 1)])
    assert await list_all(store, KEY, prefix="a_") == []

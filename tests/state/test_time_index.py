"""Does a list by time show every object once, newest first, page by page?"""

import pytest

from clients.storage.keys import money_key
from clients.storage.port import Create, Document
from domain.errors import DamagedRecord
from state import time_index
from state.time_index import CHUNK, LEFT_S, IndexRange, entry_of, left_behind, read_page, time_entry_id
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

KEY = money_key("tenant")
PREFIX = "list_"


async def written(store: MemoryStore, count: int) -> None:
    """Store entries of the objects o0, o1 and so on, a second apart."""
    entries = [Create(id=time_entry_id(PREFIX, 1000.0 + number, f"o{number}"), body={}) for number in range(count)]
    for at in range(0, count, 100):
        await store.commit(KEY, entries[at : at + 100])


async def name(entry: Document) -> str:
    return entry.id.rpartition("_")[2]


async def test_pages_of_any_size_show_every_object_once_newest_first(store: MemoryStore) -> None:
    count = CHUNK + 3
    await written(store, count)
    for limit in (1, 7, CHUNK, count - 1, count, count + 1):
        shown, after = list[str](), ""
        while True:
            page = await read_page(store, KEY, IndexRange(prefix=PREFIX, after=after), name, limit=limit)
            shown += page.found
            if not page.more:
                break
            assert (len(page.found), page.last) == (limit, page.found[-1])
            after = page.entry
        assert shown == [f"o{number}" for number in reversed(range(count))]


async def test_a_range_of_times_has_its_first_and_not_its_last_millisecond(store: MemoryStore) -> None:
    await written(store, 5)
    wanted = IndexRange(
        prefix=PREFIX, after=time_entry_id(PREFIX, 1003.0 - 0.001), until=time_entry_id(PREFIX, 1001.0 - 0.001)
    )
    assert (await read_page(store, KEY, wanted, name, limit=9)).found == ("o2", "o1")


async def test_objects_of_one_millisecond_are_in_the_order_of_their_ids(store: MemoryStore) -> None:
    entries = [Create(id=time_entry_id(PREFIX, 1000.0004, each), body={}) for each in ("b", "a")]
    await store.commit(KEY, entries)
    assert time_entry_id(PREFIX, 1000.0) < min(each.id for each in entries)
    assert (await read_page(store, KEY, IndexRange(prefix=PREFIX), name, limit=9)).found == ("a", "b")


async def test_an_entry_without_a_readable_object_is_left_out(store: MemoryStore) -> None:
    async def load(entry: Document) -> str | None:
        found = await name(entry)
        if found == "o1":
            raise DamagedRecord.by_id(entry.id)
        return None if found == "o3" else found

    await written(store, 5)
    page = await read_page(store, KEY, IndexRange(prefix=PREFIX), load, limit=2)
    assert (page.found, page.more, page.last) == (("o4", "o2"), True, "o1")
    after = IndexRange(prefix=PREFIX, after=page.entry)
    assert (await read_page(store, KEY, after, load, limit=2)).found == ("o0",)


async def test_a_page_that_finds_too_little_ends_and_says_that_there_is_more(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load(entry: Document) -> str | None:
        found = await name(entry)
        return found if found == "o0" else None

    monkeypatch.setattr(time_index, "SCAN_LIMIT", 2 * CHUNK)
    await written(store, 2 * CHUNK + 1)
    page = await read_page(store, KEY, IndexRange(prefix=PREFIX), load, limit=2)
    assert (page.found, page.more, page.last) == ((), True, "o1")
    rest = await read_page(store, KEY, IndexRange(prefix=PREFIX, after=page.entry), load, limit=2)
    assert (rest.found, rest.more) == (("o0",), False)


async def test_the_entry_of_a_deleted_object_is_a_cursor_for_a_day(store: MemoryStore, clock: FakeClock) -> None:
    await written(store, 3)
    entry = time_entry_id(PREFIX, 1001.0, "o1")
    assert await left_behind(store, KEY, "none", now=clock.now()) == ()
    await store.commit(KEY, await left_behind(store, KEY, entry, now=clock.now()))
    assert await entry_of(store, KEY, PREFIX, "o1") == entry
    assert await entry_of(store, KEY, PREFIX, "o9") == ""
    clock.advance(LEFT_S)
    assert await entry_of(store, KEY, PREFIX, "o1") == ""

"""Which contents are kept outside the store, and what happens where that place is gone?"""

import pytest

from clients.storage.keys import turns_key
from clients.storage.port import Create
from domain.errors import Unavailable
from state.files.parts import HEAD, blob_mark
from state.files.places import FilePlaces
from tests.fakes.contents import MemoryContents
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

KEY = turns_key(OWNER, "a" * 24)


def test_a_content_goes_outside_where_it_is_too_large_or_its_size_is_not_known(store: MemoryStore) -> None:
    both, alone = FilePlaces(store, MemoryContents(), inside=10), FilePlaces(store, inside=10)
    assert [both.takes_outside(size) for size in (0, 10, 11, None)] == [False, False, True, True]
    assert [alone.takes_outside(size) for size in (10, 11, None)] == [False, False, False]


def test_a_place_that_is_not_configured_any_more_is_named(store: MemoryStore) -> None:
    outside = MemoryContents()
    assert FilePlaces(store, outside).of(is_outside=True) is outside
    places = FilePlaces(store)
    assert places.of(is_outside=False) is places.documents
    with pytest.raises(Unavailable, match="GANGLION_BLOB_URL is not set"):
        places.of(is_outside=True)


@pytest.mark.parametrize(
    ("document", "is_cleared"),
    [
        (blob_mark(1.0), True),
        (Create(id=HEAD, body={"kind": "file", "outside": True}), True),
        (Create(id=HEAD, body={"kind": "file"}), False),
        (Create(id="bytes_000000", body={"kind": "file_part"}), False),
    ],
)
async def test_a_content_outside_is_deleted_where_the_thread_says_that_it_has_one(
    store: MemoryStore, document: Create, *, is_cleared: bool
) -> None:
    outside = MemoryContents()
    await outside.write(KEY, 0, b"heron")
    await store.commit(KEY, (document,))
    await FilePlaces(store, outside).clear(KEY)
    assert (outside.blocks == {}) is is_cleared

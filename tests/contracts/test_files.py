"""Does every place keep files: each store in parts, and a place outside?"""

from functools import partial

import pytest

from clients.storage.paging import list_all
from clients.storage.port import Container, DocumentKey, DocumentStore
from state.files.parts import PARTS
from state.files.places import FilePlaces
from tests.contracts.file_places import FilePlacesContract, Shelf
from tests.fakes.clocks import FakeClock
from tests.fakes.contents import MemoryContents
from tests.fakes.stores import MemoryStore


async def threads_with_parts(store: DocumentStore, seen: set[tuple[str, ...]]) -> int:
    found = [await list_all(store, DocumentKey(container=Container.TURNS, parts=each), prefix=PARTS) for each in seen]
    return sum(bool(each) for each in found)


class TestStores(FilePlacesContract):
    @pytest.fixture
    def shelf(self, store: DocumentStore, clock: FakeClock) -> Shelf:
        places = FilePlaces(store)
        seen: set[tuple[str, ...]] = set()
        write = places.documents.write

        async def noted(key: DocumentKey, number: int, content: bytes) -> None:
            seen.add(key.parts)
            await write(key, number, content)

        places.documents.write = noted
        return Shelf(store=store, clock=clock, places=places, left=partial(threads_with_parts, store, seen))


class TestOutside(FilePlacesContract):
    @pytest.fixture
    def shelf(self, clock: FakeClock) -> Shelf:
        store, outside = MemoryStore(clock), MemoryContents()

        async def left() -> int:
            return len(outside.blocks.keys() | outside.whole.keys())

        return Shelf(store=store, clock=clock, places=FilePlaces(store, outside), left=left)

"""Which adapters must keep the store's contract?"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import cache, partial
from pathlib import Path

import pytest

from clients.clock import Clock
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.cosmos import local_cosmos
from tests.fakes.stores import MemoryStore

type MakeStore = Callable[[Clock], DocumentStore]
ADAPTERS: dict[str, Callable[[Path], MakeStore]] = {
    "memory": lambda _: cache(MemoryStore),
    "sqlite": lambda folder: partial(SqliteStore, folder / "app.db"),
    "cosmos": lambda _: partial(CosmosStore, local_cosmos().emptied()),
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


LARGE_BODIES = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


@pytest.fixture(params=[pytest.param(name, marks=LARGE_BODIES) for name in ADAPTERS])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Return what makes stores over the same documents, as two processes hold them."""
    return ADAPTERS[request.param](tmp_path)


@pytest.fixture
async def stores(make_store: MakeStore, clock: FakeClock) -> AsyncIterator[tuple[DocumentStore, DocumentStore]]:
    async with AsyncExitStack() as stack:
        made = make_store(clock), make_store(clock)
        for each in made:
            stack.push_async_callback(each.close)
        yield made


@pytest.fixture
def store(stores: tuple[DocumentStore, DocumentStore]) -> DocumentStore:
    return stores[0]

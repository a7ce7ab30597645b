"""Which adapters must keep the store's contract?"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from clients.clock import Clock
from clients.sqlite_store import SqliteStore
from clients.store import Store
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

type MakeStore = Callable[[Clock], Store]
ADAPTERS: dict[str, Callable[[Path], MakeStore]] = {
    "memory": lambda _: MemoryStore,
    "sqlite": lambda folder: partial(SqliteStore, folder / "app.db"),
}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=list(ADAPTERS))
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    return ADAPTERS[request.param](tmp_path)


@pytest.fixture
async def store(make_store: MakeStore, clock: FakeClock) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        made = make_store(clock)
        stack.push_async_callback(made.close)
        yield made

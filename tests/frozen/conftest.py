"""Which store do the tests of frozen documents use?"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients.storage.sqlite.store import SqliteStore
from tests.fakes.clocks import FakeClock
from tests.frozen.objects import NOW


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(start=NOW)


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(tmp_path / "documents.sqlite", clock)
    yield made
    await made.close()

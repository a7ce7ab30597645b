"""Which fixtures do the tests of several clients share?"""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.clients.identity.cloud import Cloud, cloud_with


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def cloud(keys: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Cloud]:
    async with cloud_with(keys, monkeypatch) as one:
        yield one

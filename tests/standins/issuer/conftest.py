"""Which issuer do the tests of this folder call?"""

from collections.abc import Iterator

import pytest

from tests.standins.issuer.harness import (
    Provider,
    redirect_google,
    running_issuer,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as provider:
        yield provider


@pytest.fixture
def provider(running: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{running.base}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", running.issuer.secret)
    redirect_google(monkeypatch, running.base)
    running.reset()
    yield running
    running.reset()

"""Which running products do the tests share, and with which seed do they draw?"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from tests.end_to_end.books import Books, books_of
from tests.end_to_end.callers import Caller, calling
from tests.end_to_end.kills.crashing_clusters import CrashingCluster, crashing_cluster

SEED = os.environ.get("TEST_SEED") or str(secrets.randbelow(10**9))
RATE = 100.0

HASTY = {
    "GANGLION_TELEMETRY": "none",
    "GANGLION_SWEEP_UNBEGUN_S": "0.5",
    "GANGLION_SWEEP_UNSETTLED_S": "0.5",
}
"""Settings that let a test see in a second what a sweep does after a minute."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"end to end: TEST_SEED={SEED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A running product, a caller in front of it and its books."""

    cluster: LocalCluster
    caller: Caller
    books: Books


def hasty(folder: Path, *, rate: float = RATE, first_token_s: float = 0.0, **environment: str) -> ClusterOptions:
    """Return the options of a cluster with scripted models; `environment` is added to the hasty settings."""
    return ClusterOptions(data=folder, rate=rate, first_token_s=first_token_s, environment=HASTY | environment)


@pytest.fixture
def random(request: pytest.FixtureRequest) -> Random:
    """Draws the same for the same test and seed."""
    return Random(f"{SEED}/{request.node.nodeid}")  # noqa: S311 - a test's seed


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Nothing is killed here and no backend fails."""
    with LocalCluster(hasty(tmp_path_factory.mktemp("shared"))) as cluster:
        yield cluster


@pytest.fixture
async def scene(shared_cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(shared_cluster) as caller, books_of(shared_cluster.data) as books:
        yield Scene(cluster=shared_cluster, caller=caller, books=books)


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashingCluster]:
    with crashing_cluster(tmp_path_factory.mktemp("app"), hasty(tmp_path_factory.mktemp("crashing"))) as one:
        yield one


@pytest.fixture
async def crashing_scene(crashing: CrashingCluster) -> AsyncIterator[Scene]:
    """Forget what was learned of the backends, so that each crash meets the same steps."""
    async with calling(crashing.cluster) as caller, books_of(crashing.cluster.data) as books:
        await books.forget_backend_states()
        yield Scene(cluster=crashing.cluster, caller=caller, books=books)

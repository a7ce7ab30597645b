"""Does the management API signal, list, read and delete entities?"""

from collections.abc import Iterator

import pytest

from tests.devhost.hosts import Durable, RunningHost, running, until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("entities")
    with running("entities", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def test_the_management_api_signals_lists_reads_and_deletes(durable: Durable) -> None:
    one = f"{durable.base}/entities/Counter/w"
    assert durable.http.get(one).status_code == 404
    assert durable.http.post(f"{one}?op=add", json="2").status_code == 202
    until(lambda: durable.http.get(one).text == "2", "the signal has counted")
    listed = durable.http.get(f"{durable.base}/entities/counter").json()
    assert {"name": "counter", "key": "w"} in [entity["entityId"] for entity in listed]
    assert durable.http.delete(one).status_code == 202
    until(lambda: durable.http.get(one).status_code == 404, "the entity is gone")

"""Do entities keep their state and answer their callers, also after a crash?"""

from collections.abc import Iterator
from pathlib import Path

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


def test_an_orchestrator_signals_and_calls_entities_and_receives_errors(durable: Durable) -> None:
    instance = durable.start("calls", "k1")
    assert durable.wait(instance)["output"] == [10, "bad op", [10, 0]]


def test_calls_and_signals_are_in_the_history(durable: Durable) -> None:
    instance = durable.start("calls", "k2")
    durable.wait(instance)
    kinds = [event["EventType"] for event in durable.history(instance)]
    assert kinds.count("EventSent") == 5
    assert kinds.count("EventRaised") == 4


def test_a_client_signals_and_reads(durable: Durable) -> None:
    assert durable.http.get("/api/counters/c").json() == {"exists": False, "state": None}
    for by in (5, 6):
        assert durable.http.post(f"/api/counters/c?by={by}").status_code == 202
    until(lambda: durable.http.get("/api/counters/c").json() == {"exists": True, "state": 11}, "both have counted")


def test_every_call_of_many_orchestrations_counts_once(durable: Durable) -> None:
    instances = [durable.start("adds_one") for _ in range(30)]
    assert sorted(durable.wait(instance)["output"] for instance in instances) == list(range(1, 31))


def test_an_unknown_entity_fails_the_instance_and_names_the_known(durable: Durable) -> None:
    status = durable.run("asks_nobody")
    assert status["runtimeStatus"] == "Failed"
    assert "The function 'nobody' doesn't exist" in status["output"]
    assert "'Counter'" in status["output"]


def runs(folder: Path) -> int:
    path = folder / "slow"
    return len(path.read_text(encoding="utf-8")) if path.exists() else 0


def test_an_operation_that_dies_with_its_host_is_done_once(host: RunningHost) -> None:
    with host.client() as client:
        instance = Durable(http=client).start("asks_slowly")
        until(lambda: runs(host.folder), "the operation runs")
    host.kill()
    host.start()
    with host.client() as client:
        assert Durable(http=client).wait(instance)["output"] == 1
    assert runs(host.folder) == 2

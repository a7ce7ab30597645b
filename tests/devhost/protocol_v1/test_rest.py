"""How are instances rewound, restarted, listed in pages and purged?"""

from collections.abc import Iterator

import pytest

from devhost.clock import now
from devhost.protocol_v1.times import wire_time
from tests.devhost.hosts import Durable, RunningHost, running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("repeating")
    with running("durable", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture(scope="module")
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def test_a_rewound_instance_continues_from_its_failure_with_its_children(durable: Durable) -> None:
    instance = durable.start("goes_wrong", {"key": "rewound"})
    assert durable.wait(instance)["runtimeStatus"] == "Failed"
    durable.wait("rewound-second")
    assert durable.control(instance, "rewind", "repaired").status_code == 202
    status = durable.wait(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Completed", [1, "success 2", "success 2"])


def test_a_failed_child_is_rewound_with_its_parent(durable: Durable) -> None:
    instance = durable.start("goes_wrong", {"key": "child", "succeeds_at": 3})
    durable.wait(instance)
    assert durable.wait("child-second")["runtimeStatus"] == "Failed"
    durable.control(instance, "rewind", "repaired")
    assert durable.wait(instance)["output"] == [1, "success 2", "success 3"]
    assert durable.status("child-second")["runtimeStatus"] == "Completed"


def test_only_a_failed_instance_is_rewound(durable: Durable) -> None:
    instance = durable.start("chain", [1])
    durable.wait(instance)
    assert durable.control(instance, "rewind").status_code == 412
    assert durable.control("nobody", "rewind").status_code == 404


def test_an_instance_restarts_under_its_id_or_a_new_one(durable: Durable) -> None:
    durable.run("chain", [1], instance="again")
    anew = durable.control("again", "restart").json()["id"]
    assert anew != "again"
    assert durable.wait(anew)["output"] == [1]
    same = durable.http.post(f"{durable.base}/instances/again/restart?restartWithNewInstanceId=false")
    assert same.json()["id"] == "again"
    assert durable.wait("again")["output"] == [1]


def test_only_a_known_instance_restarts_and_one_that_runs_keeps_its_id(durable: Durable) -> None:
    assert durable.control("nobody", "restart").status_code == 400
    instance = durable.start("waits")
    taken = durable.http.post(f"{durable.base}/instances/{instance}/restart?restartWithNewInstanceId=false")
    assert taken.status_code == 409
    durable.control(instance, "terminate")


def test_instances_come_in_pages(durable: Durable) -> None:
    for n in range(5):
        durable.run("chain", [], instance=f"page-{n}")
    seen: list[str] = []
    headers: dict[str, str] = {}
    query = {"instanceIdPrefix": "page-", "top": "2"}
    for _ in range(3):
        answer = durable.http.get(f"{durable.base}/instances", params=query, headers=headers)
        seen += [one["instanceId"] for one in answer.json()]
        token = answer.headers.get("x-ms-continuation-token")
        headers = {"x-ms-continuation-token": token} if token else {}
    assert seen == [f"page-{n}" for n in range(5)]
    assert headers == {}


@pytest.mark.parametrize("query", [{"top": "0"}, {"top": "x"}, {"runtimeStatus": "Asleep"}, {"createdTimeFrom": "x"}])
def test_an_invalid_query_is_rejected(durable: Durable, query: dict[str, str]) -> None:
    assert durable.http.get(f"{durable.base}/instances", params=query).status_code == 400


def test_ended_instances_are_purged_by_time_and_status(durable: Durable) -> None:
    start = wire_time(now())
    kept = durable.start("waits")
    durable.run("chain", [], instance="purged-1")
    durable.run("uncaught", instance="purged-2")
    every = {"createdTimeFrom": start}
    purge = f"{durable.base}/instances"
    assert durable.http.delete(purge, params=every | {"runtimeStatus": "Failed"}).json() == {"instancesDeleted": 1}
    assert durable.status("purged-2") == {}
    assert durable.http.delete(purge, params=every).json() == {"instancesDeleted": 1}
    assert durable.http.delete(purge, params=every).status_code == 404
    assert durable.http.delete(purge).status_code == 400
    assert durable.status(kept)["runtimeStatus"] in {"Pending", "Running"}
    later = wire_time(now() + 3600)
    assert durable.http.delete(purge, params={"createdTimeFrom": later}).status_code == 404
    durable.control(kept, "terminate")


def test_a_custom_status_of_more_than_16_kb_fails_the_instance(durable: Durable) -> None:
    assert durable.run("shouts", 8000)["output"] == "done"
    status = durable.run("shouts", 8200)
    assert status["runtimeStatus"] == "Failed"
    assert "must not exceed 16 KB" in status["output"]

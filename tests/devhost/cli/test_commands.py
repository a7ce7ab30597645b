"""What do the commands print and change, with and without a running host?"""

import json
from collections.abc import Iterator

import pytest

from devhost.cli.tables import instances_table, table
from tests.devhost.hosts import Durable, RunningHost, devhost, output_of, running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("tool")
    with running("durable", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def test_instances_are_listed_as_a_table_and_as_json(host: RunningHost, durable: Durable) -> None:
    durable.run("chain", ["a"], instance="listed-1")
    durable.run("uncaught", instance="listed-2")
    lines = output_of(host, "instances", "--prefix", "listed-").splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["INSTANCE", "NAME", "STATUS"],
        ["listed-1", "chain", "Completed"],
        ["listed-2", "uncaught", "Failed"],
    ]
    found = json.loads(output_of(host, "instances", "--prefix", "listed-", "--status", "Failed", "--json"))
    assert [one["instanceId"] for one in found] == ["listed-2"]


def test_one_instance_and_its_history_are_shown(host: RunningHost, durable: Durable) -> None:
    durable.run("chain", ["shown"], instance="shown")
    assert 'output           ["shown"]' in output_of(host, "show", "shown")
    history = output_of(host, "history", "shown")
    assert [line.split()[1] for line in history.splitlines()] == [
        "EVENT",
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]


def test_an_instance_is_suspended_resumed_sent_an_event_and_terminated(host: RunningHost, durable: Durable) -> None:
    instance = durable.start("waits")
    durable.wait_custom(instance, "waiting")
    output_of(host, "suspend", instance)
    durable.wait_status(instance, "Suspended")
    output_of(host, "resume", instance)
    durable.wait_status(instance, "Running")
    output_of(host, "raise-event", instance, "go", '{"x": 1}')
    assert durable.wait(instance)["output"] == {"x": 1}
    other = durable.start("waits")
    output_of(host, "terminate", other, "enough of it")
    assert durable.wait(other)["output"] == "enough of it"


def test_an_instance_is_restarted_and_purged(host: RunningHost, durable: Durable) -> None:
    durable.run("chain", [1], instance="restarted")
    assert output_of(host, "restart", "restarted", "--same-id") == "started restarted\n"
    durable.wait("restarted")
    assert output_of(host, "purge", "restarted") == "1 removed\n"
    assert durable.status("restarted") == {}
    assert output_of(host, "purge", "--before", "2001-01-01") == "0 removed\n"


def test_a_rejected_request_is_reported_with_exit_code_1(host: RunningHost, durable: Durable) -> None:
    durable.run("chain", [], instance="over")
    database = ["--db", str(host.folder / "hub.db")]
    assert devhost("show", "nobody", *database).stderr == "devhost: No instance with this id exists.\n"
    ended = devhost("terminate", "over", *database)
    assert (ended.returncode, ended.stderr) == (1, "devhost: the instance has ended\n")


def test_colours_are_for_terminals_only() -> None:
    found = [{"instanceId": "i", "name": "n", "runtimeStatus": "Failed"}]
    assert "\x1b[31mFailed" in instances_table(found, colour=True)
    assert "\x1b" not in instances_table(found, colour=False)


def test_long_values_are_cut_to_one_line() -> None:
    assert table(["T"], [["x\ny" * 100]], colour=False).splitlines()[1].endswith("…")

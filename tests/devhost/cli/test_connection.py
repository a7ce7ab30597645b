"""Which instances does the command line reach without a host?"""

import fcntl
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from copy import replace
from pathlib import Path
from typing import Any

import pytest

from devhost.cli.connection import (
    HostConnection,
    HostUnreachableError,
    ManagementRequest,
    connect,
    json_or_message,
    port_of_host,
)
from devhost.engine.model.instances import OrchestrationStart
from devhost.engine.storage.database import connect as open_database
from devhost.engine.storage.store import TaskHubStore
from tests.devhost.hosts import REPOSITORY, Durable, RunningHost, running


def devhost(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devhost", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own program


def output_of(host: RunningHost, *arguments: str) -> str:
    ended = devhost(*arguments, "--db", str(host.folder / "hub.db"))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_without_a_host_the_file_is_read_only(tmp_path: Path) -> None:
    with running("durable", tmp_path, NOTES=str(tmp_path)) as host:
        with host.client() as client:
            Durable(http=client).run("chain", ["kept"], instance="kept")
        live = output_of(host, "history", "kept", "--json")
    assert json.loads(output_of(host, "history", "kept", "--json")) == json.loads(live)
    assert "Completed" in output_of(host, "instances")
    refused = devhost("terminate", "kept", "--db", str(tmp_path / "hub.db"))
    assert refused.returncode == 1
    assert "without a host the file is read-only" in refused.stderr
    assert "not found" in devhost("instances", "--db", str(tmp_path / "other.db")).stderr


def request(method: str = "GET", **given: Any) -> ManagementRequest:
    return ManagementRequest(method=method, query={}, **given)


def test_the_parts_of_a_path_are_quoted() -> None:
    asked = request(instance="a/b?ä", verb="raiseEvent/go on")
    assert asked.path == "/runtime/webhooks/durabletask/instances/a%2Fb%3F%C3%A4/raiseEvent/go%20on"
    assert request().path == "/runtime/webhooks/durabletask/instances"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", None),
        (b'{"id": "i"}', {"id": "i"}),
        (b"500 Internal Server Error\n\nServer got itself in trouble", "500 Internal Server Error"),
        (b"\xff", "\ufffd"),
    ],
)
def test_an_answer_that_is_no_json_is_its_own_message(content: bytes, found: object) -> None:
    answer = json_or_message(content)
    assert answer == found or answer["Message"].startswith(found)


@contextmanager
def answering(content: bytes) -> Generator[int]:
    """Serve one connection with these bytes; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_a_host_says_by_its_status_whether_it_could_answer() -> None:
    with answering(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n") as port:
        assert HostConnection(port=port, code="").send(request()) == (410, None)


@pytest.mark.parametrize("content", [b"", b"no HTTP\r\n\r\n"])
def test_a_host_that_does_not_speak_http_does_not_respond(content: bytes) -> None:
    with (
        answering(content) as port,
        pytest.raises(HostUnreachableError, match=f"the host on port {port} does not respond"),
    ):
        HostConnection(port=port, code="").send(request())


def test_a_lock_tells_which_host_holds_it(tmp_path: Path) -> None:
    lock = tmp_path / "hub.db.lock"
    assert port_of_host(lock) is None
    lock.write_text("123\n7071", encoding="utf-8")
    assert port_of_host(lock) is None
    with lock.open("r+", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert port_of_host(lock) == 7071
        held.truncate(0)
        with pytest.raises(HostUnreachableError, match="the host is still starting: try again"):
            port_of_host(lock)


def test_without_a_host_the_file_of_its_database_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    database = open_database(path)
    TaskHubStore(database).start(OrchestrationStart(id="i", execution="e", name="o", at=1.0))
    database.close()
    found = connect(path)
    status, instances = found.send(request())
    assert (status, [each["instanceId"] for each in instances]) == (200, ["i"])
    assert found.send(request(instance="i"))[1]["runtimeStatus"] == "Pending"
    assert found.send(request(instance="nobody")) == (404, {"Message": "No instance with this id exists."})
    assert found.send(replace(request(), query={"top": "0"}))[0] == 400
    with pytest.raises(HostUnreachableError, match="without a host the file is read-only"):
        found.send(request("POST", instance="i", verb="terminate"))
    with pytest.raises(HostUnreachableError, match=r"other\.db not found: set it with --db"):
        connect(tmp_path / "other.db").send(request())

"""Does a host with --reload restart when a file changes, and lose nothing?"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from devhost.startup.options import StartOptions
from devhost.startup.reloader import Reloader, changed, file_versions, start_arguments
from tests.devhost.hosts import APPS, Durable, RunningHost, is_alive, until

SOURCE = (APPS / "keyed" / "function_app.py").read_text(encoding="utf-8")


def watched(folder: Path) -> RunningHost:
    shutil.copytree(APPS / "keyed", folder / "app")
    return RunningHost(app=folder / "app", folder=folder, options=("--reload",)).start()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """Both of its processes end when the first is asked to."""
    host = watched(tmp_path_factory.mktemp("reloading"))
    try:
        yield host
    finally:
        child, code = host.state["host_pid"], host.stop()
    assert (code, is_alive(child)) == (0, False)


def change(host: RunningHost, word: str, before: str = "") -> None:
    text = before + SOURCE.replace('return "open"', f'return "{word}"')
    (host.app / "function_app.py").write_text(text, encoding="utf-8")


def answer(client: httpx.Client) -> str:
    """Empty where the request fell into the moment at which a host ends."""
    try:
        return client.get("/api/open").text
    except httpx.TransportError:
        return ""


def test_a_change_is_served_on_the_same_port_and_orchestrations_continue(host: RunningHost) -> None:
    port, first = host.state["port"], host.state["host_pid"]
    with host.client() as client:
        instance = client.post("/api/starts").json()["id"]
        change(host, "changed")
        until(lambda: answer(client) == "changed", "the change is served")
        assert Durable(http=client).wait(instance)["output"] == "napped"
    assert host.state["port"] == port
    assert host.state["host_pid"] != first
    assert "function_app.py changed: restarting the host" in host.log


def test_an_app_that_is_broken_meanwhile_is_waited_for(host: RunningHost) -> None:
    with host.client() as client:
        change(host, "broken", before="1 / 0\n")
        until(lambda: "waiting for a change to the app's files" in host.log, "the host says so")
        assert "ZeroDivisionError" in host.log
        change(host, "mended")
        assert answer(client) == "mended"


def test_a_host_ends_with_the_process_that_watches(tmp_path: Path) -> None:
    host = watched(tmp_path)
    child = host.state["host_pid"]
    assert host.process is not None
    host.process.kill()
    host.process.wait()
    until(lambda: not is_alive(child), "the host ends")


def test_a_host_that_was_killed_is_no_success(tmp_path: Path) -> None:
    host = watched(tmp_path)
    os.kill(host.state["host_pid"], signal.SIGKILL)
    assert host.process is not None
    assert host.process.wait(20) == 128 + signal.SIGKILL


def test_a_signal_before_the_host_starts_stops_it_too(tmp_path: Path) -> None:
    shutil.copytree(APPS / "keyed", tmp_path / "app")
    reloader = Reloader(StartOptions(app=tmp_path / "app", port=0, database=tmp_path / "hub.db"))
    reloader.on_signal(signal.SIGTERM, None)
    assert reloader.run_host_once(file_versions(reloader.app)) in {0, -signal.SIGTERM}
    reloader.listener.close()


def test_only_the_apps_own_files_are_watched(tmp_path: Path) -> None:
    for name in ("function_app.py", "host.json", "data.json", "parts/x.py", ".venv/y.py", "__pycache__/z.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    seen = file_versions(tmp_path)
    assert {Path(path).name for path in seen} == {"function_app.py", "host.json", "x.py"}
    (tmp_path / "parts" / "x.py").write_text("1", encoding="utf-8")
    (tmp_path / "host.json").unlink()
    assert [Path(path).name for path in changed(seen, file_versions(tmp_path))] == ["host.json", "x.py"]


def test_the_watched_host_gets_the_same_options() -> None:
    options = StartOptions(app=Path("a"), port=7071, database=Path("d"), state=Path("s"), auth=True)
    assert start_arguments(options) == ["--app", "a", "--db", "d", "--state", "s", "--enable-auth"]

"""Which message does the start command print if the host can't start?"""

import socket
import subprocess
from pathlib import Path

from tests.devhost.hosts import APPS, REPOSITORY, RunningHost


def refused(command: list[str]) -> str:
    """What a command that must fail says."""
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own program
    assert ended.returncode == 1, ended.stdout
    return ended.stderr


def test_a_folder_without_an_app_is_rejected(tmp_path: Path) -> None:
    command = RunningHost(app=tmp_path / "nowhere", folder=tmp_path).command
    assert f"devhost: {tmp_path}/nowhere/function_app.py not found" in refused(command)


def test_a_port_that_is_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [*RunningHost(app=APPS / "classic", folder=tmp_path).command, "--port", port]
        assert f"port {port}: Address already in use" in refused(command)


def test_invalid_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").touch()
    (tmp_path / "host.json").write_text("{", encoding="utf-8")
    command = RunningHost(app=tmp_path, folder=tmp_path).command
    assert f"devhost: {tmp_path}/host.json: " in refused(command)


def test_an_app_without_functions_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("", encoding="utf-8")
    command = RunningHost(app=tmp_path, folder=tmp_path).command
    assert "Could not find top level function app instances" in refused(command)

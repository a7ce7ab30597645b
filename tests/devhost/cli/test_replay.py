"""Is a change of code found in a recorded history?"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devhost.hosts import APPS, REPOSITORY, Durable, RunningHost, running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("tool")
    with running("durable", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def devhost(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devhost", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own program


def output_of(host: RunningHost, *arguments: str) -> str:
    ended = devhost(*arguments, "--db", str(host.folder / "hub.db"))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def replayed(recording: Path, app: Path) -> subprocess.CompletedProcess[str]:
    return devhost("replay", str(recording), "--app", str(app))


@pytest.mark.parametrize("name", ["chain", "uncaught", "waits", "retried_then_more"])
def test_a_recorded_history_agrees_with_the_code_that_wrote_it(
    host: RunningHost, durable: Durable, tmp_path: Path, name: str
) -> None:
    instance = durable.start(name, ["a"])
    if name == "waits":
        durable.wait_custom(instance, "waiting")
    else:
        durable.wait(instance)
    recording = tmp_path / "recording.json"
    recording.write_text(output_of(host, "history", instance, "--full"), encoding="utf-8")
    ended = replayed(recording, APPS / "durable")
    assert "The code agrees with" in ended.stdout, ended.stdout + ended.stderr
    assert ended.returncode == 0


def changed_app(folder: Path, old: str, new: str) -> Path:
    source = (APPS / "durable" / "function_app.py").read_text(encoding="utf-8")
    assert old in source
    folder.mkdir()
    (folder / "function_app.py").write_text(source.replace(old, new), encoding="utf-8")
    return folder


def test_changed_code_is_reported_with_its_first_difference(
    host: RunningHost, durable: Durable, tmp_path: Path
) -> None:
    durable.run("uncaught", instance="recorded")
    recording = tmp_path / "recording.json"
    recording.write_text(output_of(host, "history", "recorded", "--full"), encoding="utf-8")
    other = changed_app(tmp_path / "other", 'call_activity("boom", "u")', 'call_activity("echo", "u")')
    ended = replayed(recording, other)
    assert ended.returncode == 1
    assert "Non-Deterministic workflow detected" in ended.stdout
    gone = changed_app(tmp_path / "gone", "def uncaught(", "def caught_now(")
    assert "The app no longer has an orchestrator 'uncaught'." in replayed(recording, gone).stdout


def test_a_file_that_is_not_a_recording_is_named(tmp_path: Path) -> None:
    recording = tmp_path / "recording.json"
    recording.write_text("[]", encoding="utf-8")
    ended = replayed(recording, APPS / "durable")
    assert ended.returncode == 1
    assert f"devhost: {recording} is not a recording of `devhost history ID --full`" in ended.stderr

"""Does a stage run a host, hand it its settings, and bring it back after a crash?"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from standins import instance
from standins.child import StartError
from standins.ports import free_port
from standins.stage import Options, Stage
from tests.checks import every
from tests.standins.processes import ROOT, lives, wait_until

APP = ROOT / "tests" / "standins" / "apps" / "hello"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    data = tmp_path_factory.mktemp("stage")
    with Stage(Options(data=data, rate=0, app=APP, environment={"GANGLION_EXTRA": "more"})) as stage:
        yield stage


def asked(stage: Stage) -> dict[str, Any]:
    return httpx.get(f"{stage.base_url}/settings", timeout=30).raise_for_status().json()


def test_the_app_gets_the_settings_of_the_stage_and_those_of_the_test(stage: Stage) -> None:
    expected = {**stage.environment(), "GANGLION_EXTRA": "more"}
    assert asked(stage)["settings"] == expected


def test_the_record_names_the_host_and_its_state(stage: Stage) -> None:
    record = instance.running(stage.port)
    assert record is not None
    assert stage.host is not None
    assert record["devhost"] == {"host_pid": stage.host.pid, "state": str(stage.state)}


def test_the_worker_answers(stage: Stage) -> None:
    assert asked(stage)["pid"] == stage.worker_pid


def test_another_worker_answers_once_the_worker_is_killed(stage: Stage) -> None:
    killed = stage.kill_worker()
    worker = stage.wait_worker(other_than=killed)
    assert asked(stage)["pid"] == worker != killed


def test_a_killed_host_starts_again_on_the_same_port_and_its_worker_is_gone(stage: Stage) -> None:
    worker, url = stage.worker_pid, stage.base_url
    stage.kill_host()
    wait_until(lambda: not lives(worker))
    with pytest.raises(httpx.ConnectError):
        asked(stage)
    stage.restart_host()
    assert stage.base_url == url
    assert asked(stage)["pid"] == stage.worker_pid


def test_host_and_worker_come_back_after_both_are_killed(stage: Stage) -> None:
    worker = stage.worker_pid
    stage.kill_both()
    wait_until(lambda: not lives(worker))
    stage.restart_host()
    assert asked(stage)["pid"] == stage.worker_pid != worker


def test_nothing_is_left_of_a_stage_that_stopped(tmp_path: Path) -> None:
    with Stage(Options(data=tmp_path, app=APP)) as stage:
        assert stage.host is not None
        pids = [stage.host.pid, stage.worker_pid, *(child.pid for child in stage.models.values())]
        assert every(map(lives, pids))
    wait_until(lambda: not any(map(lives, pids)))


def test_an_app_that_does_not_load_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "function_app.py").write_text("raise RuntimeError('no such luck')\n")
    (tmp_path / "app" / "host.json").write_text('{"version": "2.0"}')
    with pytest.raises(StartError, match="no such luck"):
        Stage(Options(data=tmp_path / "data", app=tmp_path / "app")).start()


def test_host_and_worker_end_when_what_started_them_is_killed(tmp_path: Path) -> None:
    port = free_port()
    script = f"""
import signal
from pathlib import Path
from standins.stage import Options, Stage
with Stage(Options(port={port}, data=Path({str(tmp_path)!r}), app=Path({str(APP)!r}))) as stage:
    print(stage.host.pid, stage.worker_pid, *(child.pid for child in stage.models.values()), flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:  # noqa: S603 - our own module
        assert process.stdout
        pids = [int(pid) for pid in process.stdout.readline().split()]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(pids) == 4
    wait_until(lambda: not any(map(lives, pids)))
    instance.forget(port)

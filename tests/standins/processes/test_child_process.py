"""Is a child process waited for until it is ready, and does an error show the end of its log?"""

import os
import sys
from pathlib import Path

import pytest

from standins.processes import child_process
from standins.processes.child_process import ChildProcess, ProcessSpec, StartError, read_json

READY = 'print(\'{"ready": true, "port": 7}\', flush=True); import time; time.sleep(60)'
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"


def started(folder: Path, code: str) -> ChildProcess:
    command = [sys.executable, "-c", code]
    return ChildProcess(
        ProcessSpec(name="child", command=command, environment=os.environ, log=folder / "child.log", folder=folder)
    )


def test_a_child_is_ready_when_it_prints_its_port_and_stops_on_demand(tmp_path: Path) -> None:
    child = started(tmp_path, READY)
    assert child.wait_for(child.ready_port, 20) == 7
    assert child.alive
    child.stop()
    child.stop()
    assert not child.alive


def test_a_child_that_ends_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    code = "[print(n) for n in range(50)]; raise SystemExit(3)"
    child = started(tmp_path, code)
    with pytest.raises(StartError, match=r"(?s)^child ended with exit code 3; its log, \S+, ends with\n30\n.*49$"):
        child.wait_for(child.ready_port, 20)
    child.stop()


def test_a_child_that_does_not_become_ready_is_named(tmp_path: Path) -> None:
    child = started(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(StartError, match=r"child was not ready after 0\.1 s"):
        child.wait_for(child.ready_port, 0.1)
    child.kill()
    assert not child.alive


def test_a_child_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "STOP_S", 0.1)
    child = started(tmp_path, DEAF)
    child.wait_for(child.ready_port, 20)
    child.stop()
    assert child.process.returncode == -9


def test_only_the_output_of_this_start_counts(tmp_path: Path) -> None:
    (tmp_path / "child.log").write_text('{"ready": true, "port": 1}\n')
    child = started(tmp_path, "import time; time.sleep(60)")
    assert (child.ready_port(), child.output()) == (None, "")
    child.kill()


def test_a_file_that_is_not_there_has_no_content(tmp_path: Path) -> None:
    assert read_json(tmp_path / "none.json") is None

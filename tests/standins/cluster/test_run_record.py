"""Is the cluster on a port found as long as its process runs?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from standins.cluster import run_record
from standins.cluster.run_record import RunRecord, ServiceRecord, forget, is_alive, running, write

PORT = 7071


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_record, "ROOT", tmp_path)
    return tmp_path


def record(pid: int, state: Path | None = None) -> RunRecord:
    return RunRecord(
        port=PORT,
        data=Path("/data"),
        model="scripted",
        pid=pid,
        services={"identity": ServiceRecord(port=1, pid=2)},
        host_pid=3 if state else None,
        state=state,
    )


def ended_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_cluster_is_found_by_its_port_until_it_is_forgotten(root: Path) -> None:
    assert running(PORT) is None
    write(record(os.getpid(), Path("/state.json")))
    assert running(PORT) == {
        "port": PORT,
        "data": "/data",
        "model": "scripted",
        "pid": os.getpid(),
        "services": {"identity": {"port": 1, "pid": 2}},
        "devhost": {"host_pid": 3, "state": "/state.json"},
    }
    assert [path.name for path in (root / ".run").iterdir()] == ["7071.json"]
    forget(PORT)
    forget(PORT)
    assert running(PORT) is None


def test_a_cluster_whose_process_has_ended_does_not_run() -> None:
    write(record(ended_pid()))
    assert running(PORT) is None


def test_a_process_of_another_user_is_alive() -> None:
    assert is_alive(os.getpid())
    assert is_alive(1)
    assert not is_alive(ended_pid())

"""Does a cluster run a host, pass it its settings, and restart it after a crash?"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from standins.cluster import run_record
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.processes.child_process import StartError
from standins.processes.ports import free_port
from tests.checks import every
from tests.standins.programs import ROOT, is_running, wait_until

APP = ROOT / "tests" / "standins" / "apps" / "hello"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    data = tmp_path_factory.mktemp("cluster")
    with LocalCluster(ClusterOptions(data=data, rate=0, app=APP, environment={"GANGLION_EXTRA": "more"})) as cluster:
        yield cluster


def app_state(cluster: LocalCluster) -> dict[str, Any]:
    return httpx.get(f"{cluster.base_url}/settings", timeout=30).raise_for_status().json()


def test_the_app_gets_the_settings_of_the_cluster_and_those_of_the_test(cluster: LocalCluster) -> None:
    expected = {**cluster.environment(), "GANGLION_EXTRA": "more"}
    assert app_state(cluster)["settings"] == expected


def test_the_record_names_the_host_and_its_state(cluster: LocalCluster) -> None:
    record = run_record.running(cluster.port)
    assert record is not None
    assert cluster.host is not None
    assert record["devhost"] == {"host_pid": cluster.host.pid, "state": str(cluster.state)}


def test_the_worker_answers(cluster: LocalCluster) -> None:
    assert app_state(cluster)["pid"] == cluster.worker_pid


def test_another_worker_answers_after_the_worker_is_killed(cluster: LocalCluster) -> None:
    killed = cluster.kill_worker()
    worker = cluster.wait_worker(other_than=killed)
    assert app_state(cluster)["pid"] == worker != killed


def test_a_killed_host_starts_again_on_the_same_port_with_a_new_worker(cluster: LocalCluster) -> None:
    worker, url = cluster.worker_pid, cluster.base_url
    cluster.kill_host()
    wait_until(lambda: not is_running(worker))
    with pytest.raises(httpx.ConnectError):
        app_state(cluster)
    cluster.restart_host()
    assert cluster.base_url == url
    assert app_state(cluster)["pid"] == cluster.worker_pid


def test_host_and_worker_come_back_after_both_are_killed(cluster: LocalCluster) -> None:
    worker = cluster.worker_pid
    cluster.kill_host_and_worker()
    wait_until(lambda: not is_running(worker))
    cluster.restart_host()
    assert app_state(cluster)["pid"] == cluster.worker_pid != worker


def test_no_process_is_left_of_a_cluster_that_stopped(tmp_path: Path) -> None:
    with LocalCluster(ClusterOptions(data=tmp_path, app=APP)) as cluster:
        assert cluster.host is not None
        pids = [cluster.host.pid, cluster.worker_pid, *(child.pid for child in cluster.models.values())]
        assert every(map(is_running, pids))
    wait_until(lambda: not any(map(is_running, pids)))


def test_an_app_that_does_not_load_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "function_app.py").write_text("raise RuntimeError('no such luck')\n")
    (tmp_path / "app" / "host.json").write_text('{"version": "2.0"}')
    with pytest.raises(StartError, match="no such luck"):
        LocalCluster(ClusterOptions(data=tmp_path / "data", app=tmp_path / "app")).start()


def test_host_and_worker_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    port = free_port()
    script = f"""
import signal
from pathlib import Path
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
with LocalCluster(ClusterOptions(port={port}, data=Path({str(tmp_path)!r}), app=Path({str(APP)!r}))) as cluster:
    print(cluster.host.pid, cluster.worker_pid, *(child.pid for child in cluster.models.values()), flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:  # noqa: S603 - our own module
        assert process.stdout
        pids = [int(pid) for pid in process.stdout.readline().split()]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(pids) == 4
    wait_until(lambda: not any(map(is_running, pids)))
    run_record.forget(port)

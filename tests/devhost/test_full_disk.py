"""Does the host heal when its disk was full? The limit is the operating system's own, on the size of a file."""

import resource
from pathlib import Path

import pytest

from tests.devhost.hosts import Durable, RunningHost, running, until

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
INSTANCES = 6


def fill_disk(host: RunningHost) -> None:
    """From now on the host can write to no file behind its first byte: SQLite reports an error of the disk."""
    assert host.process is not None
    resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


def empty_disk(host: RunningHost) -> None:
    assert host.process is not None
    resource.prlimit(host.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)


@pytest.mark.timeout(90)
def test_orchestrations_resume_when_a_full_disk_has_space_again(tmp_path: Path) -> None:
    with running("durable", tmp_path, NOTES=str(tmp_path)) as host, host.client() as client:
        durable = Durable(http=client)
        busy = [durable.start("sleeps", 300) for _ in range(INSTANCES)]
        fill_disk(host)
        until(lambda: client.get("/admin/host/status").json()["state"] == "Error", "the host reports the full disk")
        refused = client.post(f"{durable.base}/orchestrators/sleeps", json="1")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        worker = host.kill_worker()
        until(lambda: client.get("/admin/host/status").json()["workerRestarts"], "the host can't write its state file")
        empty_disk(host)
        host.wait_new_worker(worker)
        assert {durable.wait(one)["runtimeStatus"] for one in busy} == {"Completed"}
        assert client.get("/admin/host/status").json()["errors"] == []
        assert durable.run("sleeps", 1)["runtimeStatus"] == "Completed"
    assert "internal error" not in host.log

"""Is any state lost after kill -9 of the worker, of the host, and of both?"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devhost.hosts import APPS, Durable, RunningHost, is_alive, running, until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("killing")
    (folder / "notes").mkdir()
    with running("durable", folder, NOTES=str(folder / "notes")) as host:
        yield host


@pytest.fixture
def host(shared: RunningHost) -> RunningHost:
    return shared.start() if shared.ended() else shared


def runs(folder: Path, key: str) -> int:
    path = folder / "notes" / key
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def test_an_activity_that_dies_with_its_worker_runs_again(host: RunningHost) -> None:
    with host.client() as client:
        durable = Durable(http=client)
        instance = durable.start("noted", {"count": 1, "sleep": 0.5})
        until(lambda: runs(host.folder, f"{instance}-0"), "the activity runs")
        old = host.kill_worker()
        host.wait_new_worker(old)
        assert durable.wait(instance)["output"] == [2]
    assert f"activity note of {instance} is delivered again (redelivery 1)" in host.log
    assert "(signal 9) while running activity note" in host.log


def test_requests_wait_while_a_new_worker_starts(host: RunningHost) -> None:
    host.kill_worker()
    with host.client() as client:
        assert client.get("/api/all").status_code == 200


def test_a_worker_ends_with_its_host_and_the_next_host_continues(host: RunningHost) -> None:
    with host.client() as client:
        instance = Durable(http=client).start("noted", {"count": 3, "sleep": 0.1})
        until(lambda: runs(host.folder, f"{instance}-1"), "the second activity runs")
    host.kill()
    host.start()
    with host.client() as client:
        output = Durable(http=client).wait(instance)["output"]
    assert output[0] == 1
    assert output[1] in {1, 2}
    assert output[2] == 1


def test_a_timer_that_came_due_while_nothing_ran_fires_at_the_start(host: RunningHost) -> None:
    with host.client() as client:
        durable = Durable(http=client)
        instance = durable.start("sleeps", 700)
        until(lambda: "TimerCreated" in str(durable.status(instance, showHistory="true")), "the timer is set")
    host.kill()
    time.sleep(0.8)
    host.start()
    with host.client() as client:
        assert Durable(http=client).wait(instance)["output"] == "woke"


def test_an_event_survives_host_and_worker(host: RunningHost) -> None:
    with host.client() as client:
        durable = Durable(http=client)
        instance = durable.start("late_listener")
        assert durable.event(instance, "Go", "kept").status_code == 202
    host.kill()
    host.start()
    with host.client() as client:
        assert Durable(http=client).wait(instance)["output"] == "kept"


def test_every_result_is_recorded_once_whichever_process_is_killed(host: RunningHost) -> None:
    chance = random.Random(os.urandom(8))  # noqa: S311 - no secret depends on it
    with host.client() as client:
        instances = [Durable(http=client).start("noted", {"count": 4, "sleep": 0.02}) for _ in range(10)]
    for victim in ("worker", "host", "worker", "both"):
        time.sleep(chance.uniform(0.05, 0.3))
        if victim == "worker":
            host.wait_new_worker(host.kill_worker())
            continue
        if victim == "both":
            host.kill_worker()
        host.kill()
        host.start()
    with host.client() as client:
        durable = Durable(http=client)
        for instance in instances:
            output = durable.wait(instance)["output"]
            assert [runs(host.folder, f"{instance}-{n}") >= output[n] >= 1 for n in range(4)] == [True] * 4
            completed = [e for e in durable.history(instance) if e["EventType"] == "TaskCompleted"]
            assert len(completed) == 4


def test_a_worker_whose_host_dies_ends_even_while_it_is_busy(tmp_path: Path) -> None:
    """Long before its activity ends."""
    (tmp_path / "notes").mkdir()
    with running("durable", tmp_path, NOTES=str(tmp_path / "notes")) as host:
        with host.client() as client:
            instance = Durable(http=client).start("noted", {"count": 1, "sleep": 600})
            until(lambda: runs(tmp_path, f"{instance}-0"), "the activity sleeps")
        worker = host.state["worker_pid"]
        assert host.process is not None
        host.process.send_signal(signal.SIGKILL)
        host.process.wait()
        until(lambda: not is_alive(worker), "the worker has ended")


def test_a_second_host_on_the_same_database_is_rejected(host: RunningHost) -> None:
    second = subprocess.run(host.command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - our own program
    assert second.returncode == 1
    assert f"is in use by another host (process {host.state['host_pid']})" in second.stderr


def test_a_stopping_host_finishes_running_work(host: RunningHost) -> None:
    with host.client() as client:
        instance = Durable(http=client).start("noted", {"count": 1, "sleep": 0.5})
        until(lambda: runs(host.folder, f"{instance}-0"), "the activity runs")
    worker = host.state["worker_pid"]
    assert host.stop() == 0
    assert not is_alive(worker)
    host.start()
    with host.client() as client:
        assert Durable(http=client).wait(instance)["output"] == [1]


def test_an_app_that_does_not_load_is_reported_with_its_own_traceback(tmp_path: Path) -> None:
    host = RunningHost(app=APPS / "broken", folder=tmp_path)
    host.spawn()
    assert host.process is not None
    assert host.process.wait(30) == 1
    assert "ZeroDivisionError: division by zero" in host.log
    assert "function_app.py" in host.log

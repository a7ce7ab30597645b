"""Does every stand-in end with its parent, and stop when asked?"""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.standins.programs import ROOT, is_running, started_program, wait_until

PARENT = "import subprocess, sys\nwith subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE) as child: child.wait()"


@pytest.mark.parametrize("options", [["standins.scripted"], ["standins.llama"], ["standins.issuer", "--data", "."]])
def test_a_stand_in_ends_when_its_parent_is_killed(options: list[str], tmp_path: Path) -> None:
    given = [str(tmp_path) if option == "." else option for option in options]
    command = [sys.executable, "-c", PARENT, sys.executable, "-m", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True) as parent:  # noqa: S603 - our own module
        assert parent.stdout
        assert '"ready": true' in parent.stdout.readline()
        parent.kill()
        rest = parent.stdout.read()
    assert rest == "", "its standard output closes when the stand-in itself is gone"


def test_the_instances_of_a_gpu_service_end_when_it_is_killed(tmp_path: Path) -> None:
    model = [sys.executable, "-m", "standins.scripted"]
    options = ["--start", "0", "--spare", "--no-auth", "--data", str(tmp_path), "--", *model]
    with started_program("standins.cloud_run", *options) as (process, port):
        asked = {"messages": [{"role": "user", "content": "COUNT 1"}]}
        assert httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=asked, timeout=20).status_code == 200
        pids = children(process.pid)
        process.kill()
    assert len(pids) == 2
    wait_until(lambda: not any(map(is_running, pids)))


def test_any_module_under_parent_watch_ends_when_its_parent_is_killed() -> None:
    asleep = [sys.executable, "-m", "standins.processes.parent_watch", "http.server", "--bind", "127.0.0.1", "0"]
    command = [sys.executable, "-c", PARENT, *asleep]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True) as parent:  # noqa: S603 - our own module
        (child,) = wait_for_child(parent.pid)
        parent.kill()
        wait_until(lambda: not is_running(child))


def wait_for_child(pid: int) -> list[int]:
    wait_until(lambda: bool(children(pid)))
    return children(pid)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_scripted_model_stops_cleanly_during_a_stream(number: signal.Signals) -> None:
    with started_program("standins.scripted", "--port", "0") as (process, port):
        asked = {"messages": [{"role": "user", "content": "COUNT 1000"}], "stream": True}
        with httpx.stream("POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=asked) as answer:
            assert next(answer.iter_bytes())
            process.send_signal(number)
            assert process.wait(5) == 0


def test_its_options_reach_the_model() -> None:
    with started_program("standins.scripted", "--rate", "0", "--no-continue") as (_, port):
        asked = {"messages": [{"role": "user", "content": "COUNT 9"}, {"role": "assistant", "content": "1"}]}
        assert httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=asked).status_code == 400

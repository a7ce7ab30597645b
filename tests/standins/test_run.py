"""Do `make run` and `make token` do what they print?"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import jwt
import pytest

from settings import read_settings
from standins.cluster import run_record
from standins.issuer.entra_tokens import guid_of
from standins.processes.ports import free_port
from tests.standins.programs import ROOT, is_running, wait_until


def environment(port: int, data: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PORT": str(port), "DATA": str(data), "MODEL": "scripted", **more}


def run(*command: str, port: int, data: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own modules
        [sys.executable, "-m", *command],
        env=environment(port, data, **more),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running(port: int, data: Path) -> Generator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Gives the process of `run --without-host` and the settings that it wrote."""
    file = data / "local.settings.json"
    command = [sys.executable, "-m", "standins.run", "--without-host", "--settings", str(file)]
    with subprocess.Popen(  # noqa: S603 - our own module
        command,
        env=environment(port, data),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        try:
            while "Ctrl-C" not in (line := process.stdout.readline()):
                assert line
            yield process, json.loads(file.read_text())["Values"]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


@contextmanager
def recorded(data: Path, *, pid: int) -> Generator[int]:
    """Gives the port of an instance that a process has on record."""
    port = free_port()
    record = run_record.RunRecord(
        port=port, data=data, model="scripted", pid=pid, services={}, host_pid=None, state=None
    )
    run_record.write(record)
    yield port
    run_record.forget(port)


def service_pids(port: int) -> list[int]:
    record = run_record.running(port)
    assert record is not None
    return [service["pid"] for service in record["services"].values()]


def test_it_serves_until_ctrl_c_and_leaves_nothing(tmp_path: Path) -> None:
    port = free_port()
    with running(port, tmp_path) as (process, settings):
        assert httpx.get(f"{settings['GANGLION_SCRIPTED_URL']}/models").status_code == 200
        pids = service_pids(port)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert not any(map(is_running, pids))
    assert run_record.running(port) is None


def test_it_serves_the_product_and_prints_how_to_use_it(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "standins.run"],
        env=environment(port, tmp_path),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        printed = ""
        while "Ctrl-C" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert f"make PORT={port} token" in printed
    assert f"http://127.0.0.1:{port}/v1/responses" in printed


def test_its_children_end_when_it_is_killed(tmp_path: Path) -> None:
    port = free_port()
    with running(port, tmp_path) as (process, _):
        pids = service_pids(port)
        process.kill()
        wait_until(lambda: not any(map(is_running, pids)))
    run_record.forget(port)


def test_token_prints_only_the_token_of_the_chosen_user(tmp_path: Path) -> None:
    with recorded(tmp_path, pid=os.getpid()) as port:
        alice = run("standins.token", port=port, data=tmp_path)
        bob = run("standins.token", port=port, data=tmp_path, TOKEN_USER="bob", TOKEN_TENANT="fabrikam")
        app = run("standins.token", port=port, data=tmp_path, TOKEN_APP="1")
        reader = run("standins.token", port=port, data=tmp_path, TOKEN_ROLES="Usage.Read,Operations.Read")
    printed = (alice, bob, app, reader)
    claims = [jwt.decode(done.stdout.strip(), options={"verify_signature": False}) for done in printed]
    assert [claim["oid"] for claim in claims] == [
        guid_of("user", "contoso/alice"),
        guid_of("user", "fabrikam/bob"),
        guid_of("principal", "contoso/batch"),
        guid_of("user", "contoso/alice"),
    ]
    assert [claim.get("roles") for claim in claims] == [
        None,
        None,
        ["Turns.ReadWrite"],
        ["Usage.Read", "Operations.Read"],
    ]
    assert (claims[1]["tid"], claims[2]["idtyp"]) == (guid_of("tenant", "fabrikam"), "app")


def test_token_explains_what_to_do_when_no_cluster_runs(tmp_path: Path) -> None:
    done = run("standins.token", port=free_port(), data=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "make run" in done.stderr


def test_the_record_of_a_killed_cluster_is_ignored(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/true"]) as ended:
        ended.wait()
    with recorded(tmp_path, pid=ended.pid) as port:
        done = run("standins.token", port=port, data=tmp_path)
    assert done.returncode == 1
    assert "no cluster runs" in done.stderr


def test_a_port_in_use_ends_it_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("standins.run", port=taken.getsockname()[1], data=tmp_path)
    assert done.returncode == 1
    assert "is in use" in done.stderr
    assert "Traceback" not in done.stderr


WRONG = [
    ("MODEL", "imaginary"),
    ("STORE", "paper"),
    ("PORT", "harbour"),
    ("PORT", "99999"),
    ("PORT", "0"),
    ("DATA", "/dev/null"),
    ("DATA", "/proc/1/ganglion"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    done = run("standins.run", port=free_port(), data=tmp_path, **{name: value})
    assert done.returncode == 1
    assert f"{name}={value}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_misspelled_budget_is_named_with_the_budget_that_was_meant(tmp_path: Path) -> None:
    done = run("standins.run", port=free_port(), data=tmp_path, GANGLION_BUDGET_TENNANT_DAY="5")
    assert done.returncode == 1
    assert "did you mean GANGLION_BUDGET_TENANT_DAY?" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_settings_for_func_start_are_complete_and_removed_at_the_end(tmp_path: Path) -> None:
    with running(free_port(), tmp_path) as (process, settings):
        assert settings["FUNCTIONS_WORKER_RUNTIME"] == "python"
        assert read_settings(settings).token_authority == settings["GANGLION_TOKEN_AUTHORITY"]
        assert (tmp_path / "local.settings.json").stat().st_mode & 0o077 == 0
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert not (tmp_path / "local.settings.json").exists()

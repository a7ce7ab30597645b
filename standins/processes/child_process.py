"""How does a child process start, report that it is ready, and stop?"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_S = 0.02
STOP_S = 5.0


class StartError(Exception):
    """A child process did not start; the message carries the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    folder: Path


class ChildProcess:
    """A running child process; it appends its output to its log."""

    def __init__(self, plan: ProcessSpec) -> None:
        self.spec = plan
        plan.log.parent.mkdir(parents=True, exist_ok=True)
        with plan.log.open("ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(  # noqa: S603 - the commands come from this package
                plan.command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(plan.environment),
                cwd=plan.folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        with self.spec.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def wait_for[T](self, probe: Callable[[], T | None], seconds: float) -> T:
        """Polls until `probe` gives a value; raises StartError when the child ends first or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = probe()
            if found is not None:
                return found
            if not self.alive:
                raise self.start_error(f"ended with exit code {self.process.returncode}")
            time.sleep(POLL_S)
        raise self.start_error(f"was not ready after {seconds:g} s")

    def start_error(self, problem: str) -> StartError:
        last_lines = "\n".join(self.output().splitlines()[-20:])
        return StartError(f"{self.spec.name} {problem}; its log, {self.spec.log}, ends with\n{last_lines}")

    def ready_port(self) -> int | None:
        """Reads the port from the line that a stand-in prints when it serves; None before that."""
        for line in self.output().splitlines():
            if line.startswith('{"ready"'):
                return int(json.loads(line)["port"])
        return None

    def kill(self) -> None:
        self.process.kill()
        self.reap()

    def stop(self) -> None:
        """Sends SIGTERM, and SIGKILL when the process has not ended after STOP_S."""
        if self.alive:
            self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reap()

    def reap(self) -> None:
        self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()


def python_command(module: str, *options: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, options)]


def kill_pid(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None

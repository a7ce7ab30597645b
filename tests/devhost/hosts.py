"""How does a test start a host, call it and kill it?"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

REPOSITORY = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"
PATIENCE_S = 60.0
ENDED = {"Completed", "Failed", "Terminated"}


def until[T](probe: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first true value of the probe."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        value = probe()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"not within {patience_s} s: {what}")


def is_alive(pid: int) -> bool:
    """A zombie has ended; only its parent has not looked yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(slots=True, kw_only=True)
class RunningHost:
    """A host of its own process on a free port, with its database and log in `folder`."""

    app: Path
    folder: Path
    environment: dict[str, str] = field(default_factory=dict[str, str])
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def state(self) -> dict[str, Any]:
        try:
            return json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}

    @property
    def command(self) -> list[str]:
        places = ["--db", str(self.folder / "hub.db"), "--state", str(self.folder / "state.json")]
        return [sys.executable, "-m", "devhost", "start", "--app", str(self.app), "--port", "0", *places, *self.options]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.state['port']}"

    def start(self) -> "RunningHost":
        self.spawn()
        self.wait_ready()
        return self

    def spawn(self) -> None:
        (self.folder / "state.json").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                self.command, cwd=REPOSITORY, env={**os.environ, **self.environment}, stdout=log, stderr=log
            )

    def wait_ready(self) -> None:
        try:
            until(lambda: self.state.get("ready") or self.ended(), "the host is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None
        assert not self.ended(), self.log

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill_worker(self) -> int:
        """Ends the worker at once; returns the pid it had."""
        pid = self.state["worker_pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid), "the worker is gone")
        return pid

    def wait_new_worker(self, old: int) -> int:
        return until(
            lambda: (
                self.state.get("ready") and self.state["worker_pid"] not in {None, old} and self.state["worker_pid"]
            ),
            "a new worker",
        )

    def update(self) -> None:
        """Asks the host for a rolling update."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        """Ends the host at once; its worker must end by itself."""
        worker = self.state.get("worker_pid")
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if worker is not None:
            until(lambda: not is_alive(worker), "the orphaned worker has ended")

    def stop(self) -> int:
        """Asks the host to end; returns its exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.origin, timeout=PATIENCE_S)


@dataclass(slots=True, kw_only=True)
class Durable:
    """The management API of a running host."""

    http: httpx.Client
    base: str = "/runtime/webhooks/durabletask"

    def start(self, name: str, value: Any = None, instance: str = "") -> str:
        path = f"{self.base}/orchestrators/{name}" + (f"/{instance}" if instance else "")
        answer = self.http.post(path, json=json.dumps(value))
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def status(self, instance: str, **flags: str) -> dict[str, Any]:
        answer = self.http.get(f"{self.base}/instances/{instance}", params=flags)
        return answer.json() if answer.status_code != 404 else {}

    def wait(self, instance: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The status at the end of the instance."""

        def ended() -> dict[str, Any] | None:
            status = self.status(instance)
            return status if status.get("runtimeStatus") in ENDED else None

        return until(ended, f"{instance} ends", patience_s)

    def wait_status(self, instance: str, wanted: str) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            status = self.status(instance)
            return status if status.get("runtimeStatus") == wanted else None

        return until(reached, f"{instance} is {wanted}")

    def wait_custom(self, instance: str, wanted: Any) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            status = self.status(instance)
            return status if status.get("customStatus") == wanted else None

        return until(reached, f"{instance} says {wanted}")

    def run(self, name: str, value: Any = None, instance: str = "") -> dict[str, Any]:
        return self.wait(self.start(name, value, instance))

    def event(self, instance: str, name: str, value: Any) -> httpx.Response:
        return self.http.post(f"{self.base}/instances/{instance}/raiseEvent/{name}", json=value)

    def control(self, instance: str, verb: str, reason: str = "") -> httpx.Response:
        return self.http.post(f"{self.base}/instances/{instance}/{verb}", params={"reason": reason})

    def history(self, instance: str) -> list[dict[str, Any]]:
        return self.status(instance, showHistory="true", showHistoryOutput="true")["historyEvents"]


@contextlib.contextmanager
def running(app: str, folder: Path, *options: str, **environment: str) -> Generator[RunningHost]:
    """`options` go behind `devhost start`."""
    host = RunningHost(app=APPS / app, folder=folder, environment=environment, options=options).start()
    try:
        yield host
    finally:
        host.stop()


def devhost(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "devhost", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own program


def output_of(host: RunningHost, *arguments: str) -> str:
    ended = devhost(*arguments, "--db", str(host.folder / "hub.db"))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout

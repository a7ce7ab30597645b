"""Do orchestrations complete correctly while their host and worker are killed again and again?"""

import json
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.devhost.hosts import ENDED, RunningHost, until
from tests.devhost_campaigns.consistency import inconsistencies, unfinished
from tests.devhost_campaigns.in_process import APP
from tests.devhost_campaigns.programs import Program, Raise, ReferenceRun, matches, program_input

AT_ONCE = 6
PATIENCE_S = 300.0
DURABLE = "/runtime/webhooks/durabletask"
MAX_PAUSE_S = 0.8
FULL = 503

GOLDEN: Program = {
    "rounds": 2,
    "fails": False,
    "steps": [
        ["echo", "a"],
        ["all", [["echo", 1], ["sleep", 30], ["child", {"rounds": 1, "fails": False, "steps": [["echo", "inner"]]}]]],
        ["late", 20],
        ["race", {"won": True}],
        ["flaky", 1],
        ["fails", 2],
        ["event", "heard"],
        ["named", {"rounds": 2, "fails": False, "steps": [["event", 7], ["add", 2]]}],
        ["tries", [2, {"rounds": 1, "fails": True, "steps": [["add", 1]]}]],
        ["signal", 3],
        ["status", "told"],
        ["first", ["x", "y"]],
    ],
}
"""Everything that a program can do."""


@dataclass(slots=True, kw_only=True)
class ProgramRun:
    """One running program: its expected results, and the events that it still waits for."""

    id: str
    program: Program
    results: list[Any]
    expected: ReferenceRun
    waiting: list[Raise]
    accepted: bool = False
    ended: dict[str, Any] = field(default_factory=dict[str, Any])

    def wrong_result(self) -> str | None:
        wanted = "Failed" if self.program["fails"] else "Completed"
        right = self.ended["runtimeStatus"] == wanted and self.ended["customStatus"] == self.expected.status
        if right and (self.program["fails"] or matches(self.results, self.ended["output"])):
            return None
        return f"{self.id} came to {self.ended} instead of {self.results}"


def expected_run(name: str, program: Program) -> ProgramRun:
    plainly = ReferenceRun()
    results = plainly.play(name, program, name)
    return ProgramRun(id=name, program=program, results=results, expected=plainly, waiting=list(plainly.raises))


class Clients(threading.Thread):
    """Start programs and raise their events whatever happens to the host. Failed requests are repeated."""

    def __init__(self, host: RunningHost, programs: Iterator[Program]) -> None:
        super().__init__(daemon=True)
        self.host = host
        self.programs = enumerate(programs)
        self.running: list[ProgramRun] = []
        self.done: list[ProgramRun] = []
        self.stopping = threading.Event()
        self.exhausted = False
        self.defect: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.finished():
                self.run_once()
        except BaseException as error:
            self.defect = error
            raise

    def finished(self) -> bool:
        return self.exhausted and not self.running

    def run_once(self) -> None:
        try:
            with httpx.Client(base_url=self.host.origin, timeout=5.0) as http:
                while not self.finished():
                    self.start_programs()
                    for one in list(self.running):
                        self.advance(http, one)
                    time.sleep(0.01)
        except (httpx.TransportError, KeyError):
            time.sleep(0.02)

    def start_programs(self) -> None:
        while len(self.running) < AT_ONCE and not self.exhausted:
            coming = None if self.stopping.is_set() else next(self.programs, None)
            if coming is None:
                self.exhausted = True
            else:
                self.running.append(expected_run(f"g{coming[0]}", coming[1]))

    def advance(self, http: httpx.Client, one: ProgramRun) -> None:
        if not one.accepted:
            one.accepted = self.start_one(http, one)
        for event in list(one.waiting):
            if self.raise_one(http, event):
                one.waiting.remove(event)
        status = http.get(f"{DURABLE}/instances/{one.id}").json()
        if status["runtimeStatus"] in ENDED:
            one.ended = status
            self.running.remove(one)
            self.done.append(one)

    @staticmethod
    def start_one(http: httpx.Client, one: ProgramRun) -> bool:
        """A 409 means that an earlier start succeeded and its response was lost; with a full disk it is 503."""
        answer = http.post(
            f"{DURABLE}/orchestrators/play/{one.id}", json=json.dumps(program_input(one.id, one.program))
        )
        assert answer.status_code in {202, 409, 503}, answer.text
        return answer.status_code != FULL

    @staticmethod
    def raise_one(http: httpx.Client, event: Raise) -> bool:
        found = http.get(f"{DURABLE}/instances/{event.instance}")
        if found.status_code in {404, FULL} or json.loads(found.json()["input"])["round"] < event.round:
            return False
        address = f"{DURABLE}/instances/{event.instance}/raiseEvent/{event.name}"
        answer = http.post(address, content=json.dumps(event.value), headers={"Content-Type": "application/json"})
        assert answer.status_code in {202, 410, 503}, answer.text
        return answer.status_code != FULL


@dataclass(slots=True, kw_only=True)
class KilledHost:
    """A host, its clients, and random kills. `counts` has the kills by process."""

    host: RunningHost
    clients: Clients
    random: Random
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def kill(self, times: int) -> None:
        for _ in range(times):
            assert self.clients.defect is None, self.clients.defect
            time.sleep(self.random.uniform(0, MAX_PAUSE_S))
            victim = self.random.choice(["worker", "host", "both"])
            self.counts[victim] = self.counts.get(victim, 0) + 1
            self.kill_one(victim)

    def kill_one(self, victim: str) -> None:
        if victim != "host":
            old = self.host.kill_worker()
            if victim == "worker":
                self.host.wait_new_worker(old)
                return
        self.host.kill()
        assert inconsistencies(self.database) == []
        self.host.start()

    @property
    def database(self) -> Path:
        return self.host.folder / "hub.db"

    def finish(self) -> None:
        """Waits until every program has completed correctly, then checks the database file."""
        self.clients.stopping.set()
        until(lambda: not self.clients.is_alive(), "every program ends", PATIENCE_S)
        assert self.clients.defect is None, self.clients.defect
        assert self.host.stop() == 0
        assert inconsistencies(self.database) == []
        assert unfinished(self.database, [one.id for one in self.clients.done]) == []
        assert [text for one in self.clients.done if (text := one.wrong_result())] == []


@contextmanager
def host_under_load(folder: Path, programs: Iterator[Program], random: Random) -> Generator[KilledHost]:
    """Run a host with clients; both end with the context."""
    (folder / "notes").mkdir()
    host = RunningHost(app=APP, folder=folder, environment={"NOTES": str(folder / "notes")}).start()
    callers = Clients(host, programs)
    callers.start()
    try:
        yield KilledHost(host=host, clients=callers, random=random)
    finally:
        callers.stopping.set()
        host.kill()

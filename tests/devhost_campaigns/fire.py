"""What is asked of a host that is killed again and again, and what did it answer?"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.devhost.hosts import ENDED, RunningHost, until
from tests.devhost_campaigns.books import complaints, unended
from tests.devhost_campaigns.in_process import APP
from tests.devhost_campaigns.programs import Plainly, Program, Raise, fits, told

AT_ONCE = 6
PATIENCE_S = 300.0
DURABLE = "/runtime/webhooks/durabletask"
LONGEST_CALM_S = 0.8

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
class Played:
    """One program on its way: what it must come to, and which events it still waits for."""

    id: str
    program: Program
    results: list[Any]
    plainly: Plainly
    waiting: list[Raise]
    accepted: bool = False
    ended: dict[str, Any] = field(default_factory=dict[str, Any])

    def complaint(self) -> str | None:
        wanted = "Failed" if self.program["fails"] else "Completed"
        right = self.ended["runtimeStatus"] == wanted and self.ended["customStatus"] == self.plainly.status
        if right and (self.program["fails"] or fits(self.results, self.ended["output"])):
            return None
        return f"{self.id} came to {self.ended} instead of {self.results}"


def played(name: str, program: Program) -> Played:
    plainly = Plainly()
    results = plainly.play(name, program, name)
    return Played(id=name, program=program, results=results, plainly=plainly, waiting=list(plainly.raises))


class Callers(threading.Thread):
    """Start programs and raise their events, whatever becomes of the host meanwhile. What failed is asked again."""

    def __init__(self, host: RunningHost, programs: Iterator[Program]) -> None:
        super().__init__(daemon=True)
        self.host = host
        self.coming = enumerate(programs)
        self.running: list[Played] = []
        self.done: list[Played] = []
        self.stopping = threading.Event()
        self.exhausted = False
        self.defect: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.finished():
                self.go_round()
        except BaseException as error:
            self.defect = error
            raise

    def finished(self) -> bool:
        return self.exhausted and not self.running

    def go_round(self) -> None:
        try:
            with httpx.Client(base_url=self.host.origin, timeout=5.0) as http:
                while not self.finished():
                    self.fill()
                    for one in list(self.running):
                        self.look_after(http, one)
                    time.sleep(0.01)
        except (httpx.TransportError, KeyError):
            time.sleep(0.02)

    def fill(self) -> None:
        while len(self.running) < AT_ONCE and not self.exhausted:
            coming = None if self.stopping.is_set() else next(self.coming, None)
            if coming is None:
                self.exhausted = True
            else:
                self.running.append(played(f"g{coming[0]}", coming[1]))

    def look_after(self, http: httpx.Client, one: Played) -> None:
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
    def start_one(http: httpx.Client, one: Played) -> bool:
        """A refusal because the id runs already is the answer to a start whose first answer was lost."""
        answer = http.post(f"{DURABLE}/orchestrators/play/{one.id}", json=json.dumps(told(one.id, one.program)))
        assert answer.status_code in {202, 409}, answer.text
        return True

    @staticmethod
    def raise_one(http: httpx.Client, event: Raise) -> bool:
        found = http.get(f"{DURABLE}/instances/{event.instance}")
        if found.status_code == 404 or json.loads(found.json()["input"])["round"] < event.round:
            return False
        address = f"{DURABLE}/instances/{event.instance}/raiseEvent/{event.name}"
        answer = http.post(address, content=json.dumps(event.value), headers={"Content-Type": "application/json"})
        assert answer.status_code in {202, 410}, answer.text
        return True


@dataclass(slots=True, kw_only=True)
class Fire:
    """A host, its callers, and somebody who kills. `counts` are the kills by their victim."""

    host: RunningHost
    callers: Callers
    random: Random
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def kill(self, times: int) -> None:
        for _ in range(times):
            assert self.callers.defect is None, self.callers.defect
            time.sleep(self.random.uniform(0, LONGEST_CALM_S))
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
        assert complaints(self.database) == []
        self.host.start()

    @property
    def database(self) -> Path:
        return self.host.folder / "hub.db"

    def settle(self) -> None:
        """Everything that was begun comes to its end, the right one; then the file is read."""
        self.callers.stopping.set()
        until(lambda: not self.callers.is_alive(), "every program ends", PATIENCE_S)
        assert self.callers.defect is None, self.callers.defect
        assert self.host.stop() == 0
        assert complaints(self.database) == []
        assert unended(self.database, [one.id for one in self.callers.done]) == []
        assert [text for one in self.callers.done if (text := one.complaint())] == []


def lit(folder: Path, programs: Iterator[Program], random: Random) -> Fire:
    """A host with callers, ready to be killed."""
    (folder / "notes").mkdir()
    host = RunningHost(app=APP, folder=folder, environment={"NOTES": str(folder / "notes")}).start()
    callers = Callers(host, programs)
    callers.start()
    return Fire(host=host, callers=callers, random=random)

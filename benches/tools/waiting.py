"""What do decisions about approvals cost, and what do turns cost that wait for them?

`python -m benches.tools.waiting [TURNS] [WAITING]`: the time from a decision to the request of its tool, for so
many turns; and how long other turns with one call take beside WAITING turns that wait in place, and without them. Those
run on two local hosts in turns, so that whatever else the machine does meets both; the processor's time of host and
worker is measured as well.
"""

import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benches.command_line import number_above_0, parser_of_bench
from benches.tables import print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.json_values import Json

TURNS = 20
PAIRS = 100
WAITING = 1000
AT_ONCE = 16
LOOK_S = 0.02
PAUSE_S = 5.0
SHOP: Json = {"type": "mcp", "server_label": "shop"}
MANY = "1000000"
EVENTS = "SELECT count(*) FROM history"
ACTIVITIES = "SELECT count(*) FROM work"
TIMERS = "SELECT count(*) FROM timers"
LAST_TIMER = "SELECT max(fire_at) FROM timers"
ROOM = ("OWNER_TURNS_PER_MINUTE", "OWNER_BURST", "OWNER_RUNNING")
ROOM_OF_TENANT = ("TENANT_TURNS_PER_MINUTE", "TENANT_BURST", "TENANT_RUNNING")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFigures:
    """Milliseconds of each decision and turn, and what all waiting turns together hold.

    `alone_cpu_ms` and `beside_cpu_ms` are the processor's milliseconds of one turn, in the mean. `added` are history
    events in `PAUSE_S`; `longest_timer_s` is the time to the last timer at the end of the run.
    """

    waiting: int
    decided_ms: list[float]
    alone_ms: list[float]
    beside_ms: list[float]
    alone_cpu_ms: float
    beside_cpu_ms: float
    added: int
    activities: int
    timers: int
    longest_timer_s: float


class WaitingBench:
    """One caller of one cluster."""

    def __init__(self, cluster: LocalCluster, http: httpx.AsyncClient, hub: Path) -> None:
        self.http = http
        self.cluster = cluster
        self.url = f"{cluster.base_url}/v1/responses"
        self.shop = cluster.model_url("shop")
        self.headers = {"Authorization": f"Bearer {cluster.token()}"}
        self.hub = hub

    async def create(self, number: str, **more: object) -> Json:
        prompt = f"PLAN {json.dumps([[['shop__find_order', {'number': number}]]])} THEN done"
        body = {"model": "scripted@scripted", "input": prompt, **more}
        answer = await self.http.post(self.url, json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def waiting(self, number: str) -> tuple[str, str]:
        """Begin a turn that waits in place; return its id and that of its request."""
        tools = [{**SHOP, "require_approval": "always"}]
        made = await self.create(number, tools=tools, background=True, metadata={"approval_wait_s": "864000"})
        place = f"{self.url}/{made['id']}"
        while not made["output"] or made["output"][-1]["type"] != "mcp_approval_request":
            await asyncio.sleep(LOOK_S)
            made = (await self.http.get(place, headers=self.headers)).json()
        return made["id"], made["output"][-1]["id"]

    async def decision_ms(self, number: str) -> float:
        """Return the time from a decision to the request of its tool, as the shop has recorded it."""
        response, request = await self.waiting(number)
        await asyncio.sleep(1)
        decided_at = time.time()  # noqa: TID251 - compared with the shop's own record
        answer = {"approval_request_id": request, "approve": True}
        sent = await self.http.post(f"{self.url}/{response}/approvals", json=answer, headers=self.headers)
        assert sent.status_code == 200, sent.text
        while True:
            found = (await self.http.get(f"{self.shop}/__effects")).json()["requests"]
            started = [each["started"] for each in found if each["path"].endswith(number)]
            if started:
                return (started[0] - decided_at) * 1000
            await asyncio.sleep(LOOK_S)

    async def turn_ms(self, number: str) -> float:
        """Return how long a turn takes that calls one tool."""
        began = asyncio.get_running_loop().time()
        made = await self.create(number, tools=[{**SHOP, "require_approval": "never"}])
        assert made["status"] == "completed", made
        return (asyncio.get_running_loop().time() - began) * 1000

    async def fill(self, count: int) -> None:
        """Begin turns that wait in place."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                await self.waiting(f"W-{number}")

        await asyncio.gather(*(one(number) for number in range(count)))

    async def all_wait(self, count: int) -> None:
        """Return when each of the turns has its timer: a request is shown a little before its turn waits."""
        while self.number(TIMERS) < count or self.number(ACTIVITIES):  # noqa: ASYNC110 - another process
            await asyncio.sleep(LOOK_S)

    def cpu_ms(self) -> float:
        """Return the processor's time that host and worker have used."""
        pids = (self.cluster.host_state()["host_pid"], self.cluster.worker_pid)
        return sum(used_ms(pid) for pid in pids)

    def number(self, query: str) -> float:
        """Return the number that a query of the task hub gives."""
        with sqlite3.connect(f"file:{self.hub}?mode=ro", uri=True) as database:
            return float(database.execute(query).fetchone()[0] or 0)


def used_ms(pid: int) -> float:
    """Return the milliseconds of the processor that a process has used, in its own code and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) * 1000 / os.sysconf("SC_CLK_TCK")


async def in_turns(benches: Sequence[WaitingBench], turns: int) -> list[tuple[list[float], float]]:
    """Return the milliseconds of each bench's turns, which run one after the other, and of the processor for each."""
    before, times = [each.cpu_ms() for each in benches], [list[float]() for _ in benches]
    for number in range(turns):
        for each, found in zip(benches, times, strict=True):
            found.append(await each.turn_ms(f"A-{number}"))
    used = [(each.cpu_ms() - first) / turns for each, first in zip(benches, before, strict=True)]
    return list(zip(times, used, strict=True))


@asynccontextmanager
async def bench_in(folder: Path) -> AsyncGenerator[WaitingBench]:
    room = {f"GANGLION_{name}": MANY for name in (*ROOM, *ROOM_OF_TENANT)}
    options = ClusterOptions(data=folder, rate=0, environment={"GANGLION_TELEMETRY": "none", **room})
    async with LocalCluster(options) as cluster, httpx.AsyncClient(timeout=60) as http:
        yield WaitingBench(cluster, http, folder / "hub.db")


async def measure(turns: int, waiting: int) -> WaitingFigures:
    with tempfile.TemporaryDirectory() as name:
        async with bench_in(Path(name) / "empty") as empty, bench_in(Path(name) / "full") as bench:
            for number in range(turns):
                await empty.turn_ms(f"warm-{number}")
            decided = [await bench.decision_ms(f"D-{number}") for number in range(turns)]
            await bench.fill(waiting)
            await bench.all_wait(waiting)
            events = bench.number(EVENTS)
            await asyncio.sleep(PAUSE_S)
            added = bench.number(EVENTS) - events
            activities, timers, last = map(bench.number, (ACTIVITIES, TIMERS, LAST_TIMER))
            (alone, alone_cpu), (beside, beside_cpu) = await in_turns((empty, bench), PAIRS)
    return WaitingFigures(
        waiting=waiting,
        decided_ms=decided,
        alone_ms=alone,
        beside_ms=beside,
        alone_cpu_ms=alone_cpu,
        beside_cpu_ms=beside_cpu,
        added=int(added),
        activities=int(activities),
        timers=int(timers),
        longest_timer_s=last - time.time(),  # noqa: TID251 - compared with the hub's own record
    )


def show(figures: WaitingFigures) -> None:
    rows = [
        ("decision to the request of its tool, ms", figures.decided_ms),
        ("a turn with one call, ms", figures.alone_ms),
        (f"the same beside {figures.waiting} turns that wait, ms", figures.beside_ms),
    ]
    print_table(
        ("figure", "median", "lowest", "highest"),
        [(name, *(f"{value:.0f}" for value in (statistics.median(all_), min(all_), max(all_)))) for name, all_ in rows],
    )
    print(f"the processor for such a turn: {figures.alone_cpu_ms:.0f} ms, beside them {figures.beside_cpu_ms:.0f} ms")
    print(f"{figures.added} history events in {PAUSE_S:g} s while they waited, and then")
    print(
        f"{figures.timers} timers, the last one in {figures.longest_timer_s:.0f} s, and {figures.activities} activities"
    )


def chosen_sizes() -> tuple[int, int]:
    """Return how many turns are decided and how many wait, as the command line asks for."""
    parser = parser_of_bench()
    for name, default in (("turns", TURNS), ("waiting", WAITING)):
        parser.add_argument(name, nargs="?", type=number_above_0, default=default, metavar=name.upper())
    chosen = parser.parse_args()
    return chosen.turns, chosen.waiting


def main() -> None:
    show(asyncio.run(measure(*chosen_sizes())))


if __name__ == "__main__":
    main()

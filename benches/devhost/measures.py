"""Which figures of the local Functions host are measured, and what are their limits?"""

import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from benches.command_line import chosen_number, counted
from benches.devhost.hosts import Host, serving
from benches.tables import print_table

RUNS = 15
WARM_UPS = 5
AT_ONCE = 200
HOPS = 8
WIDTH = 300
TIMERS = 10_000
ENDED = 100_000
ROUNDS = 50
AGE = 8
LOOK_S = 3.0


INSERT = (
    "INSERT INTO instances (id, execution, name, status, created, updated, input) VALUES (?, 'e', 'chain', ?, 1, 1, ?)"
)


def with_timers(database: sqlite3.Connection) -> None:
    """Instances that wait for an hour yet."""
    later = time.time_ns() / 1e9 + 3600
    names = [f"timer-{n}" for n in range(TIMERS)]
    database.executemany(INSERT, [(name, "Running", "0") for name in names])
    database.executemany("INSERT INTO timers VALUES (?, 'e', 0, ?)", [(name, later) for name in names])


def with_ended(database: sqlite3.Connection) -> None:
    names = [f"ended-{n}" for n in range(ENDED)]
    database.executemany(INSERT, [(name, "Completed", "0") for name in names])
    event = json.dumps({"kind": "completed", "at": 1.0, "status": "Completed"})
    database.executemany("INSERT INTO history VALUES (?, 0, ?)", [(name, event) for name in names])


async def throughput(host: Host) -> float:
    """Orchestrations of three activities a second, as many at once as AT_ONCE."""
    began = time.perf_counter()
    await asyncio.gather(*(host.start("chain", 3) for _ in range(AT_ONCE)))
    await host.rests()
    return AT_ONCE / (time.perf_counter() - began)


async def requests_a_second(host: Host) -> float:
    ended = time.perf_counter() + LOOK_S

    async def ask() -> int:
        count = 0
        while time.perf_counter() < ended:
            async with host.http.get("/api/trivial") as answer:
                await answer.read()
            count += 1
        return count

    return sum(await asyncio.gather(*(ask() for _ in range(32)))) / LOOK_S


async def idle_cpu(host: Host) -> float:
    """Percent of one core while nothing is asked."""
    await asyncio.sleep(1.0)
    before = host.cpu_s()
    await asyncio.sleep(LOOK_S)
    return (host.cpu_s() - before) / LOOK_S * 100


async def median(runs: int, measure: Callable[[], Awaitable[float]]) -> float:
    return statistics.median([await measure() for _ in range(runs)])


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """Milliseconds of one orchestration: the median on the clock, the mean of host's and worker's CPU."""

    ms: float
    cpu_ms: float


async def cost(host: Host, name: str, value: int, runs: int) -> RunCost:
    before = host.cpu_s()
    ms = await median(runs, lambda: host.run(name, value))
    return RunCost(ms=ms, cpu_ms=(host.cpu_s() - before) / runs * 1000)


async def hop(host: Host, runs: int) -> RunCost:
    """What each activity of a chain adds to an orchestration without any."""
    await median(WARM_UPS, lambda: host.run("chain", HOPS))
    none, some = await cost(host, "chain", 0, runs), await cost(host, "chain", HOPS, runs)
    return RunCost(ms=(some.ms - none.ms) / HOPS, cpu_ms=(some.cpu_ms - none.cpu_ms) / HOPS)


async def slowdown(one: Host, other: Host, runs: int) -> RunCost:
    """Of one host against the other, in turn, as ratios."""
    costs: dict[Host, list[RunCost]] = {one: [], other: []}
    await median(WARM_UPS, lambda: one.run("chain", HOPS))
    await median(WARM_UPS, lambda: other.run("chain", HOPS))
    for number in counted(range(runs), "runs"):
        for host in (one, other) if number % 2 else (other, one):
            costs[host].append(await cost(host, "chain", HOPS, 1))
    medians = [statistics.median(each.ms for each in found) for found in costs.values()]
    sums = [sum(each.cpu_ms for each in found) for found in costs.values()]
    return RunCost(ms=medians[0] / medians[1], cpu_ms=sums[0] / sums[1])


async def ageing(host: Host, runs: int) -> RunCost:
    """Of a round in an eternal orchestration's long life against one in a short life, as ratios."""
    short = await cost(host, "eternal", ROUNDS, runs)
    long = await cost(host, "eternal", AGE * ROUNDS, runs)
    return RunCost(ms=long.ms / short.ms / AGE, cpu_ms=long.cpu_ms / short.cpu_ms / AGE)


async def measure(folder: Path, runs: int) -> list[list[str]]:
    async with serving(folder / "plain") as host:
        start_ms = host.start_ms
        idle = await idle_cpu(host)
        one_hop = await hop(host, runs)
        aged = await ageing(host, max(3, runs // 5))
        fan_out = await median(max(3, runs // 3), lambda: host.run("fan_out", WIDTH))
        rate = await median(3, lambda: throughput(host))
        requests = await requests_a_second(host)
    async with serving(folder / "timers", with_timers) as host:
        with_timers_cpu = await idle_cpu(host)
    async with serving(folder / "empty") as empty, serving(folder / "full", with_ended) as full:
        ratio = await slowdown(full, empty, runs)
    return [
        [f"orchestrations of 3 activities a second, {AT_ONCE} at once", f"{rate:.0f}", ">= 60"],
        [f"one more activity, in a chain of {HOPS}, ms", f"{one_hop.ms:.2f}", "<= 3"],
        ["its CPU time, of host and worker, ms", f"{one_hop.cpu_ms:.2f}", ""],
        [f"fan-out of {WIDTH} activities, ms", f"{fan_out:.0f}", "<= 600"],
        ["requests a second to a trivial function", f"{requests:.0f}", ">= 1000"],
        ["from the start of the host to the first answer, ms", f"{start_ms:.0f}", "<= 1000"],
        ["CPU of a host that rests, % of a core", f"{idle:.1f}", ""],
        [f"the same with {TIMERS:,} timers pending", f"{with_timers_cpu:.1f}", "no more"],
        [f"a chain in a hub with {ENDED:,} ended instances / in an empty one, time", f"{ratio.ms:.2f}", "<= 1.10"],
        ["the same, CPU time", f"{ratio.cpu_ms:.2f}", ""],
        [f"a round of {AGE * ROUNDS} continued as new / one of {ROUNDS}, time", f"{aged.ms:.2f}", "<= 1.10"],
    ]


def main() -> None:
    runs = chosen_number(RUNS, "runs")
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder), runs))
    print_table(["figure", "measured", "limit"], rows)

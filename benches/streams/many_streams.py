"""How late does each word arrive when many streams run at once, and how often do they call the store?

`python -m benches.streams [STREAMS ...]`: the model sends five words a second, each the time at which it was sent.
The model, the host, its worker and the readers are separate processes. The figures cover the time in which all
streams carry words. A few readers call the model directly, which shows how much of the delay comes from the machine.
The last line is for readers without notifications, like on another instance than the writer's.
"""

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from benches.streams.app_folder import folder_of_app
from benches.streams.readers import HeardStreams, Readers
from benches.tables import most_memory_mib, percentile, print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec, python_command
from standins.processes.http_server import HOST

SIZES = (50, 200)
APART = 50
WORDS_S = 5.0
STARTS_S = 25
"""Streams started a second."""
SPOKEN_S = 10.0
STRAIGHT = 5
MOST_WORDS = 1000
LOOK_S = 0.5

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedResources:
    """CPU seconds by process and store calls by kind, up to a moment."""

    at: float
    cpu_s: Mapping[str, float]
    calls: Mapping[str, float]

    def per_s(self, until: "UsedResources") -> "UsedResources":
        """Return the use per second from this moment until another."""
        seconds = until.at - self.at
        cpu = {name: (last - self.cpu_s[name]) / seconds for name, last in until.cpu_s.items()}
        calls = {name: (last - self.calls.get(name, 0)) / seconds for name, last in until.calls.items()}
        return UsedResources(at=seconds, cpu_s=cpu, calls=calls)


def settings(app: Path, streams: int, model_url: str, *, apart: bool) -> dict[str, str]:
    room = ("GANGLION_OWNER_RUNNING", "GANGLION_OWNER_BURST", "GANGLION_TENANT_RUNNING")
    return {
        "GANGLION_TELEMETRY": "none",
        "BENCH_READERS": "apart" if apart else "beside",
        "GANGLION_SCRIPTED_URL": model_url,
        "GANGLION_FLEET": str(app / "fleet.toml"),
        **dict.fromkeys(room, str(2 * streams)),
    }


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def used(cluster: LocalCluster, model: ChildProcess) -> UsedResources:
    host = cluster.host_state()
    pids = {"worker": host["worker_pid"], "host": host["host_pid"], "model": model.pid, "readers": os.getpid()}
    now = time.time()  # noqa: TID251 - compared with the model's own clock
    calls = json.loads((cluster.data / "store_calls.json").read_text())
    return UsedResources(at=now, cpu_s={name: cpu_s(pid) for name, pid in pids.items()}, calls=calls)


async def watch(cluster: LocalCluster, model: ChildProcess, seen: list[UsedResources]) -> None:
    while True:
        seen.append(await asyncio.to_thread(used, cluster, model))
        await asyncio.sleep(LOOK_S)


async def measure_streams(
    cluster: LocalCluster, model: ChildProcess, model_url: str, streams: int
) -> tuple[HeardStreams, UsedResources]:
    """Return the words of all readers while all streams carried words, and the use per second of that time."""
    headers = {"Authorization": f"Bearer {cluster.token()}"}
    session = ClientSession(headers=headers, connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None))
    seen: list[UsedResources] = []
    watching = asyncio.create_task(watch(cluster, model, seen))
    async with session as http:
        through, straight = f"{cluster.base_url}/v1/responses", f"{model_url}/chat/completions"
        readers = Readers(http, through=through, straight=straight, spoken_s=SPOKEN_S)
        heard = await readers.hear(streams, straight=STRAIGHT, gap_s=1 / STARTS_S)
    watching.cancel()
    start, end = heard.window
    within = [each for each in seen if start <= each.at <= end]
    return heard, within[0].per_s(within[-1])


def row(streams: int, heard: HeardStreams, each_s: UsedResources, worker_mib: float, *, apart: bool) -> tuple[str, ...]:
    lags = heard.lags_ms(heard.through)
    calls = {name: number / streams for name, number in each_s.calls.items()}
    return (
        f"{streams}, readers apart" if apart else str(streams),
        f"{statistics.median(lags):.0f} / {percentile(lags, 0.95):.0f} / {max(lags):.0f}",
        f"{percentile(heard.lags_ms(heard.straight), 0.95):.0f}",
        f"{statistics.median(each.first_s for each in heard.through):.2f}",
        f"{calls['commits']:.1f}",
        f"{calls.get('reads', 0) + calls['lists']:.1f}",
        " ".join(f"{name} {share:.2f}" for name, share in each_s.cpu_s.items()),
        f"{worker_mib:.0f}",
        f"{os.getloadavg()[0]:.1f}",
    )


def measure(streams: int, *, apart: bool = False) -> tuple[str, ...]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = python_command("benches.streams.stamping_model", "--gap-s", 1 / WORDS_S, "--words", MOST_WORDS)
        log = folder / "model.log"
        model = ChildProcess(ProcessSpec(name="model", command=command, environment=os.environ, log=log, folder=ROOT))
        stack.callback(model.stop)
        model_url = f"http://{HOST}:{model.wait_for(model.ready_port, 30)}/v1"
        app = folder_of_app(folder / "app", streams)
        options = ClusterOptions(
            data=folder / "data", app=app, environment=settings(app, streams, model_url, apart=apart)
        )
        cluster = stack.enter_context(LocalCluster(options))
        measured = asyncio.run(measure_streams(cluster, model, model_url, streams))
        worker_mib = most_memory_mib(int(cluster.host_state()["worker_pid"]))
        return row(streams, *measured, worker_mib, apart=apart)


def main(*sizes: int) -> None:
    """Print a line for each number of streams; store calls are per stream and second."""
    lags = ("word delay ms, median / p95 / max", "directly from the model, p95", "first word, s")
    shares = ("writes", "reads", "CPU cores used", "worker, MiB", "load average")
    rows = [measure(streams) for streams in sizes or SIZES]
    if not sizes:
        rows.append(measure(APART, apart=True))
    print_table(("streams", *lags, *shares), rows)

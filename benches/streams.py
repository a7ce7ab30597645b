"""How late does each word come when many streams run at once, and what do they ask of the store?

`python -m benches.streams [STREAMS ...]`: a model that says five words a second, each the time at which it was said.
The model, the host, its worker and the readers are processes of their own. Every figure is of the time in which all
streams speak. A few readers ask the model itself, so that what the machine adds stands beside what the product adds.
The last line is of readers that nobody tells what was written, as on another instance than the writer's.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from benches.readers import Ears, Readers
from benches.tables import percentile, print_table
from standins import instance
from standins.child import Child, Plan, python
from standins.serving import HOST
from standins.stage import Options, Stage

SIZES = (50, 200)
APART = 50
WORDS_S = 5.0
STARTS_S = 25
"""So many streams are begun a second."""
SPOKEN_S = 10.0
STRAIGHT = 5
MOST_WORDS = 1000
LOOK_S = 0.5

FOLDERS = ("activities", "api", "clients", "composition", "domain", "orchestrators", "state")
FILES = ("settings.py", "telemetry.py", "prices.toml", "sources.toml", "local.settings.sample.json", "requirements.txt")
ROOM = "concurrency = 64"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was used up to a moment: seconds of the CPU by process, and calls of the store by kind."""

    at: float
    cpu_s: Mapping[str, float]
    calls: Mapping[str, float]

    def per_s(self, until: "Used") -> "Used":
        """Return what was used each second from here to there."""
        seconds = until.at - self.at
        cpu = {name: (last - self.cpu_s[name]) / seconds for name, last in until.cpu_s.items()}
        calls = {name: (last - self.calls.get(name, 0)) / seconds for name, last in until.calls.items()}
        return Used(at=seconds, cpu_s=cpu, calls=calls)


def folder_of_app(folder: Path, streams: int) -> Path:
    """Make an app of the product's own files, whose store is counted and whose host has room for so many turns."""
    folder.mkdir()
    for name in (*FOLDERS, *FILES):
        (folder / name).symlink_to(instance.ROOT / name)
    (folder / "product.py").symlink_to(instance.ROOT / "function_app.py")
    (folder / "function_app.py").symlink_to(Path(__file__).with_name("counted_app.py"))
    host = json.loads((instance.ROOT / "host.json").read_text())
    host["extensions"]["durableTask"]["maxConcurrentActivityFunctions"] = 2 * streams
    (folder / "host.json").write_text(json.dumps(host))
    (folder / "fleet.toml").write_text(fleet(streams))
    return folder


def fleet(streams: int) -> str:
    """Return a fleet whose scripted backends have room for so many calls."""
    text = (instance.ROOT / "fleet.toml").read_text()
    assert ROOM in text
    return text.replace(ROOM, f"concurrency = {2 * streams}")


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
    """Return the seconds of the CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def used(stage: Stage, model: Child) -> Used:
    host = stage.host_state()
    pids = {"worker": host["worker_pid"], "host": host["host_pid"], "model": model.pid, "readers": os.getpid()}
    now = time.time()  # noqa: TID251 - compared with the model's own clock
    calls = json.loads((stage.data / "store_calls.json").read_text())
    return Used(at=now, cpu_s={name: cpu_s(pid) for name, pid in pids.items()}, calls=calls)


async def watch(stage: Stage, model: Child, seen: list[Used]) -> None:
    while True:
        seen.append(await asyncio.to_thread(used, stage, model))
        await asyncio.sleep(LOOK_S)


async def hear(stage: Stage, model: Child, model_url: str, streams: int) -> tuple[Ears, Used]:
    """Return what all heard while all spoke, and what was used in each second of it."""
    headers = {"Authorization": f"Bearer {stage.token()}"}
    session = ClientSession(headers=headers, connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None))
    seen: list[Used] = []
    watching = asyncio.create_task(watch(stage, model, seen))
    async with session as http:
        through, straight = f"{stage.base_url}/v1/responses", f"{model_url}/chat/completions"
        readers = Readers(http, through=through, straight=straight, spoken_s=SPOKEN_S)
        ears = await readers.hear(streams, straight=STRAIGHT, gap_s=1 / STARTS_S)
    watching.cancel()
    start, end = ears.window
    within = [each for each in seen if start <= each.at <= end]
    return ears, within[0].per_s(within[-1])


def row(streams: int, ears: Ears, each_s: Used, *, apart: bool) -> tuple[str, ...]:
    lags = ears.lags_ms(ears.through)
    calls = {name: number / streams for name, number in each_s.calls.items()}
    return (
        f"{streams}, readers apart" if apart else str(streams),
        f"{statistics.median(lags):.0f} / {percentile(lags, 0.95):.0f} / {max(lags):.0f}",
        f"{percentile(ears.lags_ms(ears.straight), 0.95):.0f}",
        f"{statistics.median(each.first_s for each in ears.through):.2f}",
        f"{calls['commits']:.1f}",
        f"{calls.get('reads', 0) + calls['lists']:.1f}",
        " ".join(f"{name} {share:.2f}" for name, share in each_s.cpu_s.items()),
        f"{os.getloadavg()[0]:.1f}",
    )


def measure(streams: int, *, apart: bool = False) -> tuple[str, ...]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = python("benches.model", "--gap-s", 1 / WORDS_S, "--words", MOST_WORDS)
        log = folder / "model.log"
        model = Child(Plan(name="model", command=command, environment=os.environ, log=log, folder=instance.ROOT))
        stack.callback(model.stop)
        model_url = f"http://{HOST}:{model.wait_for(model.ready_port, 30)}/v1"
        app = folder_of_app(folder / "app", streams)
        options = Options(data=folder / "data", app=app, environment=settings(app, streams, model_url, apart=apart))
        stage = stack.enter_context(Stage(options))
        return row(streams, *asyncio.run(hear(stage, model, model_url, streams)), apart=apart)


def main(*sizes: int) -> None:
    """Print a line for each number of streams; what is asked of the store is of each stream in each second."""
    lags = ("lag of words ms, median / p95 / max", "straight from the model, p95", "first word, s")
    shares = ("writes", "reads", "shares of a core", "load of the machine")
    rows = [measure(streams) for streams in sizes or SIZES]
    if not sizes:
        rows.append(measure(APART, apart=True))
    print_table(("streams", *lags, *shares), rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

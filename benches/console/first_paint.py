"""When does a browser first paint the console?

`python -m benches.console.first_paint [ROUNDS]`: Chromium opens the console of a warm app on this machine, with an
empty cache each time, in alternation with an empty page of another server and with `GET /healthz`. The figure is the
browser's own first contentful paint, in milliseconds from the beginning of the navigation.
"""

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benches.command_line import chosen_number
from benches.tables import percentile, print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from tests.conformance.installing import javascript_kits
from tests.conformance.programs import Program, said_by

ROUNDS = 20
PROGRAM = Program(file="first_paint.mjs")
MEASURED = {
    "healthz": "`GET /healthz`",
    "empty": "an empty page",
    "sign-in": "the console before the sign-in",
    "turns": "the console, signed in",
}


def chromium() -> str:
    """Return where Chromium is; raises CalledProcessError where it can't be had."""
    script = ROOT / "scripts" / "chromium.sh"
    return subprocess.run([script], capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()  # noqa: S603 - a script of ours


async def rounds_of(cluster: LocalCluster, rounds: int) -> Sequence[Mapping[str, float]]:
    """Return the milliseconds of each round by what was measured, after one round that warms everything up."""
    where = {
        "CHROMIUM": chromium(),
        "APP": cluster.base_url,
        "CONSOLE": f"{cluster.issuer_url}/console?port={cluster.port}",
        "ROUNDS": str(rounds + 1),
    }
    return [json.loads(line) for line in await said_by(*PROGRAM.command, environment=where)][1:]


def main(rounds: int = ROUNDS) -> None:
    javascript_kits()
    with tempfile.TemporaryDirectory() as folder:
        options = ClusterOptions(data=Path(folder), environment={"GANGLION_TELEMETRY": "none"})
        with LocalCluster(options) as cluster:
            found = asyncio.run(rounds_of(cluster, rounds))
    medians = {name: percentile([each[name] for each in found], 0.5) for name in MEASURED}
    rows = [
        (
            MEASURED[name],
            f"{median:.1f}",
            f"{percentile([each[name] for each in found], 0.95):.1f}",
            f"{median / medians['healthz']:.1f}",
            f"{median / medians['empty']:.1f}",
        )
        for name, median in medians.items()
    ]
    print_table(("first paint", "median ms", "p95 ms", "to /healthz", "to an empty page"), rows)
    print(f"{found[-1]['files']} files, {found[-1]['bytes'] / 1000:.1f} KB transferred beside the page")


if __name__ == "__main__":
    main(chosen_number(ROUNDS, "rounds"))

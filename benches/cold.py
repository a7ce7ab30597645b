"""How long does a turn on a cold GPU wait for its first word, beyond the start of the GPU?

`python -m benches.cold [TURNS]`: the GPU service takes 5 s to start, the private data take 2 s to arrive. The start
runs in parallel with the other steps, so a turn should take max(5 s, 2 s) plus the time of a warm turn. Figures in
seconds.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benches.command_line import chosen_number, counted
from benches.tables import print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster

TURNS = 5
START_S = 5.0
DATA_S = 2.0
GPU = "scripted-gpu"


class ColdStartBench:
    """One caller of one cluster."""

    def __init__(self, cluster: LocalCluster, http: httpx.AsyncClient) -> None:
        self.cluster = cluster
        self.http = http
        self.headers = {"Authorization": f"Bearer {cluster.token()}"}

    async def first_word_s(self) -> float:
        """Ask with private data and return the seconds until the first word."""
        body: dict[str, object] = {
            "model": f"scripted@{GPU}",
            "input": "COUNT 5",
            "stream": True,
            "metadata": {"sources": "orders"},
        }
        started = time.perf_counter()
        url = f"{self.cluster.base_url}/v1/responses"
        async with self.http.stream("POST", url, json=body, headers=self.headers) as answer:
            assert answer.is_success, await answer.aread()
            async for line in answer.aiter_lines():
                if "output_text.delta" in line and line.startswith("data: "):
                    return time.perf_counter() - started
        raise AssertionError("the turn ended without text")

    async def data_takes(self, seconds: float) -> None:
        await self.admin("PUT", "private-data", "__faults", {"delay_s": seconds})

    async def admin(self, method: str, name: str, path: str, body: object) -> dict[str, list[object]]:
        answer = await self.http.request(method, f"{self.cluster.model_url(name)}/{path}", json=body)
        return answer.raise_for_status().json() if answer.content else {}


async def measure(turns: int) -> None:
    """Each cold turn has its own cluster, in which the GPU is cold and nothing is known about it."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in counted(range(turns), "turns"):
        with tempfile.TemporaryDirectory() as folder:
            environment = {"GANGLION_TELEMETRY": "none"}
            options = ClusterOptions(
                data=Path(folder), cold=f"{START_S:g}", gpu=("--spare",), rate=0, environment=environment
            )
            async with LocalCluster(options) as cluster, httpx.AsyncClient(timeout=60) as http:
                bench = ColdStartBench(cluster, http)
                await bench.data_takes(DATA_S)
                cold.append(await bench.first_word_s())
                await bench.data_takes(0)
                warm += [await bench.first_word_s() for _ in range(5)]
    report(cold, statistics.median(warm))


def report(cold: list[float], warm_s: float) -> None:
    bound = max(START_S, DATA_S) + warm_s
    rows = [
        ("warm, private data at once", f"{warm_s:.3f}", ""),
        ("cold, median", f"{statistics.median(cold):.3f}", f"{statistics.median(cold) - bound:.3f}"),
        ("cold, longest", f"{max(cold):.3f}", f"{max(cold) - bound:.3f}"),
    ]
    print_table(("first word of a turn", "seconds", "more than max(start, data) + a warm turn"), rows)


def main() -> None:
    asyncio.run(measure(chosen_number(TURNS, "turns")))


if __name__ == "__main__":
    main()

"""How long after its GPU is up does a turn speak that found it asleep?

`python -m benches.cold [TURNS]`: a GPU service that takes 5 s to start, private data that takes 2 s to come. The start
runs beside the other steps, so that a turn should take max(5 s, 2 s) and what a warm one takes. Seconds.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from benches.tables import print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster

TURNS = 5
START_S = 5.0
DATA_S = 2.0
GPU = "scripted-gpu"


class ColdStartBench:
    """One stage, asked as one caller."""

    def __init__(self, stage: LocalCluster, http: httpx.AsyncClient) -> None:
        self.stage = stage
        self.http = http
        self.headers = {"Authorization": f"Bearer {stage.token()}"}

    async def first_word_s(self) -> float:
        """Ask with private data, and return how long the first word takes to come."""
        body: dict[str, object] = {
            "model": f"scripted@{GPU}",
            "input": "COUNT 5",
            "stream": True,
            "metadata": {"sources": "orders"},
        }
        asked = time.perf_counter()
        url = f"{self.stage.base_url}/v1/responses"
        async with self.http.stream("POST", url, json=body, headers=self.headers) as answer:
            assert answer.is_success, await answer.aread()
            async for line in answer.aiter_lines():
                if "output_text.delta" in line and line.startswith("data: "):
                    return time.perf_counter() - asked
        raise AssertionError("the turn said nothing")

    async def data_takes(self, seconds: float) -> None:
        await self.admin("PUT", "private-data", "__faults", {"delay_s": seconds})

    async def admin(self, method: str, name: str, path: str, given: object) -> dict[str, list[object]]:
        answer = await self.http.request(method, f"{self.stage.model_url(name)}/{path}", json=given)
        return answer.raise_for_status().json() if answer.content else {}


async def measure(turns: int) -> None:
    """Each cold turn has a stage of its own: nothing is known of the GPU, and it sleeps."""
    cold: list[float] = []
    warm: list[float] = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder:
            environment = {"GANGLION_TELEMETRY": "none"}
            options = ClusterOptions(
                data=Path(folder), cold=f"{START_S:g}", gpu=("--spare",), rate=0, environment=environment
            )
            async with LocalCluster(options) as stage, httpx.AsyncClient(timeout=60) as http:
                bench = ColdStartBench(stage, http)
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
    print_table(("first word, s", "after", "beyond max(start, data) + warm"), rows)


def main() -> None:
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS))


if __name__ == "__main__":
    main()

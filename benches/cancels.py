"""How soon is the connection to the model closed after a turn is cancelled?

`python -m benches.cancels [TURNS]`: background turns, cancelled during the answer and before its first token. The
figure is the seconds from the cancel request until the model saw its connection close.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benches.command_line import chosen_number, counted
from benches.tables import print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.json_values import Json

TURNS = 10
PHASES = {"during the answer": "COUNT 1000", "before the first token": "FAIL hang-before COUNT 1000"}
POLL_S = 0.01


class CancelBench:
    """One caller of one cluster."""

    def __init__(self, cluster: LocalCluster, http: httpx.AsyncClient) -> None:
        self.http = http
        self.url = f"{cluster.base_url}/v1/responses"
        self.model = f"{cluster.model_url('scripted')}/admin/requests"
        self.headers = {"Authorization": f"Bearer {cluster.token()}"}

    async def cancel_s(self, command: str, number: int) -> float:
        instructions = f"{command} {number}"
        body = {"model": "scripted@scripted", "input": command, "instructions": instructions, "background": True}
        created = await self.http.post(self.url, json=body, headers=self.headers)
        has_tokens = command.startswith("COUNT")
        await self.call(instructions, lambda call: call["tokens"] > 5 if has_tokens else True)
        cancelled_at = time.time()  # noqa: TID251 - compared with the model's own clock
        answer = await self.http.post(f"{self.url}/{created.json()['id']}/cancel", headers=self.headers)
        assert answer.json()["status"] == "cancelled"
        closed = await self.call(instructions, lambda call: call["how"] is not None)
        assert closed["how"] == "client-closed"
        return closed["ended"] - cancelled_at

    async def call(self, instructions: str, holds: Callable[[Json], bool]) -> Json:
        """Wait until a condition holds for the model's record of a turn."""
        messages = [{"role": "system", "content": instructions}]
        while True:
            calls = (await self.http.get(self.model)).json()["requests"]
            for found in calls:
                if found["messages"][:1] == messages and holds(found):
                    return found
            await asyncio.sleep(POLL_S)


async def measure(turns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = ClusterOptions(data=Path(folder), environment={"GANGLION_TELEMETRY": "none"})
        async with LocalCluster(options) as cluster, httpx.AsyncClient(timeout=60) as http:
            bench = CancelBench(cluster, http)
            rows: list[tuple[str, ...]] = []
            for name, command in PHASES.items():
                seconds = [
                    await bench.cancel_s(command, number)
                    for number in counted(range(turns), f"turns, cancelled {name}")
                ]
                rows.append((name, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"))
    print_table(("cancelled", "closed after, median s", "longest s"), rows)


def main() -> None:
    asyncio.run(measure(chosen_number(TURNS, "turns")))


if __name__ == "__main__":
    main()

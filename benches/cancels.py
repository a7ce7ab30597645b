"""How soon is the connection to the model closed when a turn is cancelled?

`python -m benches.cancels [TURNS]`: background turns, cancelled while the model speaks and while it says nothing yet;
seconds from the request to cancel until the model saw its connection closed.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from benches.tables import print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster

TURNS = 10
PHASES = {"while it speaks": "COUNT 1000", "before it speaks": "FAIL hang-before COUNT 1000"}
POLL_S = 0.01

type Json = dict[str, Any]


class CancelBench:
    """One stage, asked as one caller."""

    def __init__(self, stage: LocalCluster, http: httpx.AsyncClient) -> None:
        self.http = http
        self.url = f"{stage.base_url}/v1/responses"
        self.model = f"{stage.model_url('scripted')}/admin/requests"
        self.headers = {"Authorization": f"Bearer {stage.token()}"}

    async def cancel_s(self, command: str, number: int) -> float:
        instructions = f"{command} {number}"
        body = {"model": "scripted@scripted", "input": command, "instructions": instructions, "background": True}
        created = await self.http.post(self.url, json=body, headers=self.headers)
        speaks = command.startswith("COUNT")
        await self.call(instructions, lambda call: call["tokens"] > 5 if speaks else True)
        asked = time.time()  # noqa: TID251 - compared with the model's own clock
        answer = await self.http.post(f"{self.url}/{created.json()['id']}/cancel", headers=self.headers)
        assert answer.json()["status"] == "cancelled"
        closed = await self.call(instructions, lambda call: call["how"] is not None)
        assert closed["how"] == "client-closed"
        return closed["ended"] - asked

    async def call(self, instructions: str, holds: Callable[[Json], bool]) -> Json:
        """Wait until something holds of the model's record of a turn."""
        given = [{"role": "system", "content": instructions}]
        while True:
            calls = (await self.http.get(self.model)).json()["requests"]
            for found in calls:
                if found["messages"][:1] == given and holds(found):
                    return found
            await asyncio.sleep(POLL_S)


async def measure(turns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = ClusterOptions(data=Path(folder), environment={"GANGLION_TELEMETRY": "none"})
        async with LocalCluster(options) as stage, httpx.AsyncClient(timeout=60) as http:
            bench = CancelBench(stage, http)
            rows: list[tuple[str, ...]] = []
            for name, command in PHASES.items():
                seconds = [await bench.cancel_s(command, number) for number in range(turns)]
                rows.append((name, f"{statistics.median(seconds):.2f}", f"{max(seconds):.2f}"))
    print_table(("cancelled", "closed after s, median", "longest"), rows)


def main() -> None:
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else TURNS))


if __name__ == "__main__":
    main()

"""What does a line of a batch cost on a GPU that scales to zero? `python -m standins.demo.batch`, or `make demo-batch`.

MODEL chooses the real or the scripted model, COLD the start-up time of the GPU in seconds.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import httpx
from openai import AsyncOpenAI
from openai.types import Batch

from standins.cluster.local_cluster import LocalCluster
from standins.demo.__main__ import LIMIT_S, options_in
from standins.demo.gpu import IDLE_S, GpuMonitor, dollars_a_second
from standins.demo.sign_in import sign_in
from standins.demo.terminal import TerminalScreen, open_screen
from standins.demo.turn_stream import DemoError, check
from standins.json_values import Json

LINES = 20
OUTPUT_TOKENS = 24
WINDOW_S = 60
POLL_S = 0.5
SHOWN_LINES = 5
ENDED = ("completed", "failed", "expired", "cancelled")


def main() -> None:
    argparse.ArgumentParser(prog="python -m standins.demo.batch", description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="ganglion-batch-") as folder:
        options = options_in(Path(folder))
        screen = open_screen()
        screen.title(f"A batch of {LINES} lines: the {options.model} model on a GPU that scales to zero")
        try:
            with LocalCluster(options) as cluster:
                asyncio.run(run_batch(cluster, screen))
        except DemoError as problem:
            sys.exit(f"\ndemo: failed: {problem}")


async def run_batch(cluster: LocalCluster, screen: TerminalScreen) -> None:
    async with asyncio.timeout(LIMIT_S), httpx.AsyncClient() as http:
        user = await sign_in(cluster, http)
        (name,) = cluster.models
        gpu = GpuMonitor(name=name, client=http, url=cluster.model_url(name), issuer_url=cluster.issuer_url)
        async with AsyncOpenAI(base_url=f"{cluster.base_url}/v1", api_key=user.token) as client:
            batch = await ended(client, await created(client), screen)
            answers = (await client.files.content(batch.output_file_id or "")).text.splitlines()
            check("each line has one answer", holds=len({json.loads(each)["custom_id"] for each in answers}) == LINES)
            await gpu.watch("cold", lambda _state, _at: None)
            await gpu.sweep(cluster.base_url)
            found = await http.get(
                f"{cluster.base_url}/v1/batches/{batch.id}/route", headers={"Authorization": f"Bearer {user.token}"}
            )
            show(screen, found.raise_for_status().json(), await gpu.sessions(), backend=gpu.name)


async def created(client: AsyncOpenAI) -> Batch:
    """Sends the lines; each asks for another fact."""
    body = {"model": "auto", "max_output_tokens": OUTPUT_TOKENS}
    lines = [
        {
            "custom_id": f"fact-{number}",
            "method": "POST",
            "url": "/v1/responses",
            "body": {**body, "input": f"Tell me fact {number} about the sky."},
        }
        for number in range(LINES)
    ]
    content = "".join(f"{json.dumps(each)}\n" for each in lines).encode()
    file = await client.files.create(file=("facts.jsonl", content), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/responses",
        completion_window="24h",
        metadata={"window_s": str(WINDOW_S)},
    )


async def ended(client: AsyncOpenAI, batch: Batch, screen: TerminalScreen) -> Batch:
    """Waits for the end of a batch and shows how far it has come."""
    shown = ""
    while True:
        batch = await client.batches.retrieve(batch.id)
        done = batch.request_counts.completed if batch.request_counts else 0
        if shown != (shown := f"{batch.status}, {done - done % SHOWN_LINES} of {LINES} lines"):
            screen.field("batch", shown)
        if batch.status in ENDED:
            check(f"the batch completes (status {batch.status})", holds=batch.status == "completed" and done == LINES)
            return batch
        await asyncio.sleep(POLL_S)


def show(screen: TerminalScreen, route: Json, sessions: Sequence[Json], *, backend: str) -> None:
    """Shows why the batch began when it did, and what a line costs here and elsewhere."""
    screen.field("begun", str(route["decision"]["reason"]))
    check("one start of the GPU serves all lines", holds=len(sessions) == 1)
    (session,) = sessions
    rate, billed_s = dollars_a_second(backend) or Decimal(0), Decimal(str(session["billed_s"]))
    apart_s = Decimal(str(session["start_s"] + IDLE_S))
    busy_s = max(billed_s - apart_s, Decimal(0)) / LINES
    screen.field("ledger", f"${route['cost']['total_usd']} for {LINES} lines, by the product's own accounting")
    for what, seconds in (
        ("alone, on a GPU started for it", apart_s + busy_s),
        (f"in this batch of {LINES}", billed_s / LINES),
        ("on a GPU that is warm anyway", busy_s),
    ):
        screen.row(f"${rate * seconds:.9f}  a line {what}")


if __name__ == "__main__":
    main()

"""How much time does the whole application add to a turn, compared with a direct call of the model?

`python -m benches.turns [TURNS]`: starts everything on this machine with a model whose words are their sending times,
and calls it alternately directly and through the application. Figures in milliseconds. The last table is what the
functions of one short turn cost on instances of two sizes.
"""

import asyncio
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx

from benches.command_line import chosen_number, counted
from benches.streams.stamping_model import serving
from benches.tables import most_memory_mib, percentile, print_table
from domain.config.prices_toml import overheads_from_toml
from domain.money.overheads import LEAST_EXECUTION_S
from settings import ROOT
from standins.cluster.local_cluster import ClusterOptions, LocalCluster

TURNS = 30
WARM_TURNS = 3
INSTANCES_GB = ("2", "0.5")
LOOKS = 600
LOOK_AGAIN_S = 0.1
QUESTION = "How long does this take?"


@dataclass(slots=True, kw_only=True)
class TurnTimes:
    """Milliseconds to the first word of each turn, and from model to caller of each word."""

    first_ms: list[float] = field(default_factory=list[float])
    word_ms: list[float] = field(default_factory=list[float])


async def ask(
    http: httpx.AsyncClient, url: str, body: dict[str, object], headers: dict[str, str], times: TurnTimes
) -> None:
    """Make one streaming request and record when its words arrived."""
    started = time.perf_counter()
    first = True
    async with http.stream("POST", url, json=body, headers=headers) as response:
        assert response.is_success, await response.aread()
        async for stamps in words(response):
            now = time.time()  # noqa: TID251 - compared with the model's own clock
            if first:
                times.first_ms.append((time.perf_counter() - started) * 1000)
                first = False
            times.word_ms += [(now - stamp) * 1000 for stamp in stamps]


async def words(response: httpx.Response) -> AsyncIterator[list[float]]:
    """Yield the times in each text event of the API's stream or of the model's."""
    async for line in response.aiter_lines():
        if line.startswith("data: {"):
            text = text_of(httpx.Response(200, content=line[6:]).json())
            if text:
                yield [float(word) for word in text.split()]


def text_of(event: dict[str, object]) -> str:
    match event:
        case {"type": "response.output_text.delta", "delta": str(text)}:
            return text
        case {"choices": [{"delta": {"content": str(text)}}]}:
            return text
        case _:
            return ""


async def measure(turns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with serving() as model:
            options = ClusterOptions(data=Path(folder), environment={"GANGLION_SCRIPTED_URL": model})
            async with LocalCluster(options) as cluster, httpx.AsyncClient(timeout=60) as http:
                await compare(cluster, http, model, turns)
            await measure_dollars(model)


async def measure_dollars(model: str) -> None:
    """Print what the functions of a turn cost on instances of each size."""
    rows: list[tuple[str, str, str, str]] = []
    for memory_gb in INSTANCES_GB:
        with tempfile.TemporaryDirectory() as folder:
            prices = Path(folder) / "prices.toml"
            text = prices_for(memory_gb)
            prices.write_text(text, encoding="utf-8")
            environment = {"GANGLION_SCRIPTED_URL": model, "GANGLION_PRICES": str(prices)}
            options = ClusterOptions(data=Path(folder), environment=environment)
            async with LocalCluster(options) as cluster, httpx.AsyncClient(timeout=60) as http:
                rows.append((memory_gb, *await dollars_of(cluster, http, text)))
    head = (
        "memory of an instance, GB",
        "sum of all steps, as in the bill, $",
        "an instance that runs only this turn, $",
    )
    print_table((*head, "worker, MiB"), rows)


async def dollars_of(cluster: LocalCluster, http: httpx.AsyncClient, prices: str) -> tuple[str, str, str]:
    """Return both figures, and the most memory that the worker had.

    Azure bills an on-demand instance for the time in which it is active, however many functions share that.
    """
    headers = {"Authorization": f"Bearer {cluster.token()}"}
    body: dict[str, object] = {"model": "scripted@scripted", "input": QUESTION, "max_output_tokens": 100}
    for _ in range(WARM_TURNS):
        await functions_of_turn(cluster, http, body, headers)
    billed, active_s = await functions_of_turn(cluster, http, body, headers)
    price = overheads_from_toml(prices).functions
    active_usd = Decimal(max(active_s, LEAST_EXECUTION_S)) * price.gb_second * price.memory_gb if price else Decimal(0)
    return f"{billed:.6f}", f"{active_usd:.6f}", f"{most_memory_mib(int(cluster.host_state()['worker_pid'])):.0f}"


def prices_for(memory_gb: str) -> str:
    """Return the shipped prices with instances of another size."""
    shipped = (ROOT / "prices.toml").read_text(encoding="utf-8")
    changed = re.sub(r'^memory_gb = ".*"$', f'memory_gb = "{memory_gb}"', shipped, flags=re.MULTILINE)
    assert f'memory_gb = "{memory_gb}"' in changed, memory_gb
    return changed


async def compare(cluster: LocalCluster, http: httpx.AsyncClient, model: str, turns: int) -> None:
    straight, through = TurnTimes(), TurnTimes()
    messages = [{"role": "user", "content": QUESTION}]
    direct_body: dict[str, object] = {"model": "scripted", "messages": messages, "stream": True, "max_tokens": 100}
    body: dict[str, object] = {
        "model": "scripted@scripted",
        "input": QUESTION,
        "stream": True,
        "max_output_tokens": 100,
    }
    headers = {"Authorization": f"Bearer {cluster.token()}"}
    for _ in counted(range(turns), "turns"):
        await ask(http, f"{model}/chat/completions", direct_body, {}, straight)
        await ask(http, f"{cluster.base_url}/v1/responses", body, headers, through)
    report(straight, through)


async def functions_of_turn(
    cluster: LocalCluster, http: httpx.AsyncClient, body: dict[str, object], headers: dict[str, str]
) -> tuple[Decimal, float]:
    """Return what the bill of a turn says of its functions in dollars, and the seconds until the turn was settled."""
    started = time.perf_counter()
    answer = await http.post(f"{cluster.base_url}/v1/responses", json=body, headers=headers)
    url = f"{cluster.base_url}/v1/responses/{answer.json()['id']}/route"
    for _ in range(LOOKS):
        bill = (await http.get(url, headers=headers)).json()["bill"]
        if bill["status"] == "final":
            return Decimal(bill["functions_usd"]), time.perf_counter() - started
        await asyncio.sleep(LOOK_AGAIN_S)
    raise TimeoutError(url)


def report(straight: TurnTimes, through: TurnTimes) -> None:
    rows = [
        ("first word, median", statistics.median(straight.first_ms), statistics.median(through.first_ms)),
        ("first word, p95", percentile(straight.first_ms, 0.95), percentile(through.first_ms, 0.95)),
        ("each word, median", statistics.median(straight.word_ms), statistics.median(through.word_ms)),
        ("each word, p95", percentile(straight.word_ms, 0.95), percentile(through.word_ms, 0.95)),
    ]
    print_table(
        ("ms", "called directly", "through the application", "added"),
        [(name, f"{a:.1f}", f"{b:.1f}", f"{b - a:.1f}") for name, a, b in rows],
    )


def main() -> None:
    asyncio.run(measure(chosen_number(TURNS, "turns")))


if __name__ == "__main__":
    main()

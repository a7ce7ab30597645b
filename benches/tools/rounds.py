"""What do rounds of tool calls cost between the model and the tools?

`python -m benches.tools.rounds [TURNS]`: turns of two rounds with three calls each, and turns with one round of eight
parallel calls of which each takes `DELAY_S`. The stand-ins' own records have the times; the task hub has the events.
"""

import asyncio
import json
import sqlite3
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benches.command_line import chosen_number, counted
from benches.tables import print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.json_values import Json, json_list

TURNS = 10
DELAY_S = 0.5
SHOP: Json = {"type": "mcp", "server_label": "shop", "require_approval": "never"}
SETTLED_S = 0.3


@dataclass(slots=True, kw_only=True)
class RoundTimes:
    """Milliseconds of each round, and the events and bytes that it added to the history."""

    to_tool_ms: list[float] = field(default_factory=list[float])
    to_model_ms: list[float] = field(default_factory=list[float])
    beyond_slowest_ms: list[float] = field(default_factory=list[float])
    events: list[int] = field(default_factory=list[int])
    kib: list[float] = field(default_factory=list[float])


class AgentBench:
    """One caller of one cluster."""

    def __init__(self, cluster: LocalCluster, http: httpx.AsyncClient, hub: Path) -> None:
        self.http = http
        self.url = f"{cluster.base_url}/v1/responses"
        self.model = f"{cluster.model_url('scripted')}/admin/requests"
        self.shop = cluster.model_url("shop")
        self.headers = {"Authorization": f"Bearer {cluster.token()}"}
        self.hub = hub
        self.times = RoundTimes()

    async def turn(self, rounds: Sequence[Sequence[str]], name: str) -> tuple[list[Json], list[Json], str]:
        """Run a turn with calls of these orders; return the model's calls, the shop's requests and the turn's id."""
        plan = [[["shop__find_order", {"number": number}] for number in numbers] for numbers in rounds]
        prompt = f"PLAN {json.dumps(plan)} THEN done"
        body = {"model": "scripted@scripted", "input": prompt, "instructions": name, "tools": [SHOP]}
        before = len((await self.effects())["requests"])
        answer = (await self.http.post(self.url, json=body, headers=self.headers)).json()
        assert answer["status"] == "completed", answer
        found = (await self.http.get(self.model)).json()["requests"]
        calls = [each for each in found if each["messages"][:1] == [{"role": "system", "content": name}]]
        return calls, (await self.effects())["requests"][before:], answer["id"]

    async def effects(self) -> Json:
        return (await self.http.get(f"{self.shop}/__effects")).json()

    async def three_calls(self, number: int) -> None:
        rounds = [[f"A-{number}-{at}-{each}" for each in range(3)] for at in range(2)]
        calls, requests, response = await self.turn(rounds, f"three calls {number}")
        for at in range(2):
            made = requests[at * 3 : at * 3 + 3]
            self.times.to_tool_ms.append((min(each["started"] for each in made) - calls[at]["ended"]) * 1000)
            self.times.to_model_ms.append((calls[at + 1]["started"] - max(each["ended"] for each in made)) * 1000)
        await asyncio.sleep(SETTLED_S)
        events = list(second_round(history(self.hub, response)))
        self.times.events.append(len(events))
        self.times.kib.append(sum(map(content_bytes, events)) / 1024)

    async def eight_calls(self, number: int) -> None:
        _, requests, _ = await self.turn([[f"SLOW-{number}-{each}" for each in range(8)]], f"eight calls {number}")
        lasted = max(each["ended"] for each in requests) - min(each["started"] for each in requests)
        self.times.beyond_slowest_ms.append((lasted - DELAY_S) * 1000)


def history(hub: Path, instance: str) -> list[Json]:
    with sqlite3.connect(f"file:{hub}?mode=ro", uri=True) as database:
        rows = database.execute("SELECT event FROM history WHERE instance = ? ORDER BY seq", (instance,))
        return [json.loads(event) for (event,) in rows]


def second_round(events: Sequence[Json]) -> Iterator[Json]:
    """Yield the events from the second route to the third."""
    routes = [at for at, event in enumerate(events) if event.get("name") == "route"]
    yield from events[routes[1] : routes[2]]


def content_bytes(event: Json) -> int:
    """Return the bytes of an event's input and result, without the quotes in which the history stores them."""
    return sum(len(unquoted(event.get(name)).encode()) for name in ("input", "result"))


def unquoted(value: str | None) -> str:
    """Return a text without the JSON strings and the list of one that surround it."""
    text = value or ""
    while text[:1] in {'"', "["}:
        inner = json_list(json.loads(text)) if text[0] == "[" else [json.loads(text)]
        text = str(inner[0]) if inner else ""
    return text


async def measure(turns: int) -> RoundTimes:
    with tempfile.TemporaryDirectory() as folder:
        options = ClusterOptions(data=Path(folder), rate=0, environment={"GANGLION_TELEMETRY": "none"})
        async with LocalCluster(options) as cluster, httpx.AsyncClient(timeout=60) as http:
            bench = AgentBench(cluster, http, Path(folder) / "hub.db")
            fault = {"path": "/v1/orders/SLOW", "fault": {"delay_s": DELAY_S}}
            await http.put(f"{bench.shop}/__faults", json=fault)
            await bench.turn([["warm"]], "the first turn")
            for number in counted(range(turns), "turns with rounds of calls"):
                await bench.three_calls(number)
                await bench.eight_calls(number)
    return bench.times


def show(times: RoundTimes) -> None:
    rows = [
        ("last token of the model to the first request of a tool, ms", times.to_tool_ms),
        ("last result to the next request of the model, ms", times.to_model_ms),
        ("eight parallel calls, in addition to 0.5 s, ms", times.beyond_slowest_ms),
        ("history events of a round of three", times.events),
        ("inputs and results of a round of three in the history, KiB", times.kib),
    ]
    print_table(
        ("figure", "median", "lowest", "highest"),
        [(name, *(f"{value:.1f}" for value in (statistics.median(all_), min(all_), max(all_)))) for name, all_ in rows],
    )


def main() -> None:
    show(asyncio.run(measure(chosen_number(TURNS, "turns"))))


if __name__ == "__main__":
    main()

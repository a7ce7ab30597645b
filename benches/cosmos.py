"""How many requests and request units of Azure Cosmos DB does a turn need?

`python -m benches.cosmos [SECONDS]`: starts everything on this machine with the local Cosmos DB. It streams a short
turn and one of so many seconds at 50 tokens a second, to a reader in the writer's process and to one without
notifications, like on another instance. Units are the local server's estimate from the vendor's published figures,
with the double price of strongly consistent reads; milliseconds are this machine's.
"""

import asyncio
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benches.command_line import chosen_number
from benches.command_line import report as report_progress
from benches.store import BODY, PAGE, partition, slot
from benches.streams.app_folder import folder_of_app
from benches.tables import percentile, print_table
from clients.clock import SystemClock
from clients.storage.cosmos.settings import account_from
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import Add, Create
from clients.storage.request_units import metered
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.cosmos.account import account_in
from standins.cosmos.provisioning import COSMOS
from standins.processes.http_server import HOST

SECONDS = 10
RATE = 50
SHORT = 10
CALLS = 100
UNITS_LIMIT = 700
BUDGETS = {
    f"GANGLION_BUDGET_{scope}": "1000"
    for scope in ("RESPONSE", "OWNER_DAY", "OWNER_MONTH", "TENANT_DAY", "TENANT_MONTH")
}
READERS = {
    "beside": "The reader is in the process that writes, and is notified of each piece.",
    "apart": "The reader gets no notifications, like one on another instance.",
}
KINDS = {"GET": "point read", "PATCH": "patch", "POST": "create or batch"}

type StoreCall = Callable[[int], Awaitable[object]]


@dataclass(slots=True, kw_only=True)
class StoreRequests:
    """The requests of one turn to the store, by kind."""

    requests: Counter[str] = field(default_factory=Counter[str])
    units: Counter[str] = field(default_factory=Counter[str])

    def add(self, request: dict[str, Any]) -> None:
        kind = "query" if request.get("query") else KINDS[request["method"]]
        self.requests[kind] += 1
        self.units[kind] += request["charge"]


def service(cluster: LocalCluster, method: str) -> list[dict[str, Any]]:
    """Read, or with DELETE clear, the requests that the local Cosmos DB has answered."""
    context = ssl.create_default_context(cafile=cluster.environment()["GANGLION_COSMOS_CA"])
    url = f"https://{HOST}:{cluster.ports[COSMOS]}/__requests"
    return httpx.request(method, url, verify=context).json()["requests"]


def turn(cluster: LocalCluster, tokens: int) -> StoreRequests:
    """Stream one turn to its end and return its requests until it is settled."""
    service(cluster, "DELETE")
    headers = {"authorization": f"Bearer {cluster.token()}"}
    body = {"model": "scripted@scripted", "input": f"COUNT {tokens}", "stream": True, "max_output_tokens": 2 * tokens}
    with httpx.stream("POST", f"{cluster.base_url}/v1/responses", json=body, headers=headers, timeout=120) as answer:
        assert answer.status_code == 200, answer.read()
        text = "".join(answer.iter_text())
    assert "response.completed" in text
    bill = StoreRequests()
    for request in until_quiet(cluster):
        if "/docs" in request["path"]:
            bill.add(request)
    return bill


def until_quiet(cluster: LocalCluster) -> list[dict[str, Any]]:
    """Return the requests when no more arrive: those of the settlement follow the stream."""
    seen: list[dict[str, Any]] = []
    while True:
        time.sleep(1)
        found = service(cluster, "GET")
        if len(found) == len(seen):
            return found
        seen = found


def report(bills: dict[str, StoreRequests], seconds: int) -> None:
    kinds = sorted({kind for bill in bills.values() for kind in bill.requests})
    rows = [
        (name, *(f"{bill.requests[kind]} / {bill.units[kind]:.0f}" for kind in kinds), whole(bill))
        for name, bill in bills.items()
    ]
    short, long = bills.values()
    apart = seconds - SHORT / RATE
    calls = (long.requests.total() - short.requests.total()) / apart
    units = (long.units.total() - short.units.total()) / apart
    rows.append(("each streamed second", *("" for _ in kinds), f"{calls:.1f} / {units:.0f}"))
    print_table(("requests / request units", *kinds, "all"), rows)


def whole(bill: StoreRequests) -> str:
    return f"{bill.requests.total()} / {bill.units.total():.0f}"


def calls(store: CosmosStore) -> dict[str, StoreCall]:
    """Return the measured calls, in an order in which each finds its documents."""
    key = partition(0)
    return {
        "commit a slot": lambda number: store.commit(key, [Create(id=slot(number), body=BODY)]),
        "commit an addition": lambda _: store.commit(key, [Add(id=slot(0), amounts={"count": 1})]),
        "read a slot": lambda number: store.read(key, slot(number)),
        f"list {PAGE} slots": lambda number: store.list(
            key, prefix="slot_", after=slot(max(number - PAGE, 0)), limit=PAGE
        ),
        "list none (the end of a log)": lambda _: store.list(key, prefix="slot_", after=slot(999_999)),
    }


async def measure(cluster: LocalCluster) -> list[tuple[str, ...]]:
    account = account_from({**cluster.environment(), "GANGLION_COSMOS_KEY": account_in(cluster.data).key})
    store = CosmosStore(account, SystemClock())
    rows: list[tuple[str, ...]] = []
    for name, call in calls(store).items():
        times: list[float] = []
        with metered() as charge:
            for number in range(CALLS):
                start = time.perf_counter()
                await call(number)
                times.append((time.perf_counter() - start) * 1000)
        figures = [percentile(times, share) for share in (0.5, 0.95)]
        rows.append((name, f"{charge.units / CALLS:.1f}", *(f"{figure:.1f}" for figure in figures)))
    await store.close()
    return rows


def main(seconds: int = SECONDS) -> None:
    units = 0.0
    for readers, meaning in READERS.items():
        print(f"\n{meaning}\n", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            app = folder_of_app(Path(folder) / "app", 1)
            environment = {**BUDGETS, "GANGLION_TELEMETRY": "none", "BENCH_READERS": readers}
            data = Path(folder) / "data"
            options = ClusterOptions(data=data, app=app, store=COSMOS, rate=RATE, environment=environment)
            units = max(units, figures(options, seconds))
    assert seconds > SECONDS or units <= UNITS_LIMIT, f"{units:.0f} units exceed the limit of {UNITS_LIMIT}"


def figures(options: ClusterOptions, seconds: int) -> float:
    """Print both tables and return the units of the long stream."""
    with LocalCluster(options) as cluster:
        report_progress(f"streaming turns of {SHORT / RATE:g} s and of {seconds} s")
        turn(cluster, SHORT)
        short, long = turn(cluster, SHORT), turn(cluster, seconds * RATE)
        report({"a short turn": short, f"a stream of {seconds} s": long}, seconds)
        print()
        report_progress("calling the store directly")
        print_table(("local Cosmos DB", "request units", "median ms", "p95 ms"), asyncio.run(measure(cluster)))
    return long.units.total()


if __name__ == "__main__":
    main(chosen_number(SECONDS, "seconds"))

"""How long do the reports of a large fleet and of a busy month take, on SQLite?

`python -m benches.scale.reports [CALLS]`: starts everything on this machine with a fleet of 50 GPUs that scale to zero,
and writes the roll-ups of a month of 100,000 turns. Each report is asked for by one caller, and the fleet with a pause
of a second, so that it is read anew. Milliseconds are this machine's; the ratio is to `GET /healthz` in the same run.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import httpx

from benches.command_line import chosen_number
from benches.tables import percentile, print_table
from clients.clock import SystemClock
from clients.storage.keys import money_key
from clients.storage.paging import write_batches
from clients.storage.port import Create
from clients.storage.sqlite.store import SqliteStore
from domain.money.usage import UsageRow
from domain.money.usage_rollups import roll_up_change
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.issuer.entra_tokens import guid_of
from standins.paths import ROOT
from state.money.usage_rows import BEGUN

CALLS = 50
BACKENDS = 50
TURNS = 100_000
FIRST = date(2026, 1, 1)
DAYS = 30
PAIRS = (("small", "main"), ("small", "spare"), ("large", "gpu"), ("", ""))
COUNTS = ("attempts", "input", "cached", "output", "cost", "running", "start", "idle")
SECTION = "[backends.scripted-gpu]"
ROLES = ["Usage.Read", "Operations.Read"]
TENANT = "contoso"
GROUPS = ("day", "hour", "cause", "model", "backend")
FRESH_S = 1.0


def fleet_file(folder: Path) -> Path:
    """Write a fleet with 50 copies of the scripted GPU."""
    text = (ROOT / "fleet.toml").read_text(encoding="utf-8")
    before, _, after = text.partition(SECTION)
    section, blank, rest = after.partition("\n\n")
    copies = "".join(f"[backends.gpu-{number:02d}]{section}{blank}" for number in range(BACKENDS))
    path = folder / "fleet.toml"
    path.write_text(before + copies + rest, encoding="utf-8")
    return path


def roll_ups() -> Iterator[Create]:
    """Yield the documents of a month in which three backends work in every hour, and what turns cost beside."""
    attempts = TURNS // (24 * DAYS * (len(PAIRS) - 1))
    for number in range(DAYS):
        day = (FIRST + timedelta(days=number)).isoformat()
        for model, backend in PAIRS:
            counts = dict.fromkeys(COUNTS, 4200000000) | {"attempts": attempts} if backend else {"store": 123_000}
            changes = [
                roll_up_change(
                    UsageRow(dimensions={"day": day, "hour": f"{day}T{hour:02d}", "model": model, "backend": backend}),
                    counts,
                )
                for hour in range(24)
            ]
            amounts = {name: amount for each in changes for name, amount in each.amounts.items()}
            yield Create(id=changes[0].id, body={**changes[0].empty, **amounts})


async def fill(database: Path, tenant: str) -> None:
    store = SqliteStore(database, SystemClock())
    begun = Create(id=BEGUN, body={"kind": BEGUN, "v": 1, "since": FIRST.isoformat()})
    await write_batches(store, money_key(tenant), [begun, *roll_ups()])
    await store.close()


def token(cluster: LocalCluster) -> str:
    return cluster.issuer.user_token(now=SystemClock().now(), tenant=TENANT, claims={"roles": ROLES})


def timed(http: httpx.Client, path: str, calls: int, *, pause_s: float = 0.0) -> list[float]:
    """Return the milliseconds of each call."""
    found: list[float] = []
    for _ in range(calls):
        time.sleep(pause_s)
        began = time.perf_counter()
        answer = http.get(path)
        found.append(1000 * (time.perf_counter() - began))
        assert answer.status_code == 200, answer.text
    return found


def main(calls: int) -> None:
    month = f"from={FIRST.isoformat()}&to={(FIRST + timedelta(days=DAYS - 1)).isoformat()}&limit=100"
    with tempfile.TemporaryDirectory() as folder:
        environment = {"GANGLION_FLEET": str(fleet_file(Path(folder))), "GANGLION_TELEMETRY": "none"}
        options = ClusterOptions(data=Path(folder) / "cluster", cold="5", environment=environment)
        with LocalCluster(options) as cluster:
            asyncio.run(fill(cluster.data / "app.db", guid_of("tenant", TENANT)))
            headers = {"authorization": f"Bearer {token(cluster)}"}
            with httpx.Client(base_url=cluster.base_url, headers=headers, timeout=60) as http:
                health = timed(http, "/healthz", calls)
                found = {
                    f"GET /v1/usage by {by}": timed(http, f"/v1/usage?{month}&group_by={by}", calls) for by in GROUPS
                }
                found[f"GET /v1/fleet, {BACKENDS} backends"] = timed(http, "/v1/fleet", calls, pause_s=FRESH_S)
    usual = percentile(health, 0.5)
    rows = [
        (name, f"{percentile(each, 0.5):.1f}", f"{percentile(each, 0.95):.1f}", f"{percentile(each, 0.5) / usual:.1f}")
        for name, each in {"GET /healthz": health, **found}.items()
    ]
    print_table(("report", "median ms", "p95 ms", "to /healthz"), rows)


if __name__ == "__main__":
    main(chosen_number(CALLS, "calls"))

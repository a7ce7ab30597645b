"""How much time and how many request units do budgets and GPU sessions add to a turn?

`python -m benches.money [TURNS]`: milliseconds on the SQLite store. Reserve is the reservation and the attempt's
record, which holds an amount in four budgets. Settle is the end of the attempt with its usage row, and the settlement
of the turn. All callers belong to one tenant. The first turns pause for an answer between the two; the next ones run
as fast as the store can. Then the same in request units of the local Cosmos DB, for a backend that is paid by the
token and for a GPU that is paid by its time.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from copy import replace
from decimal import Decimal
from pathlib import Path

from benches.command_line import chosen_number, report
from benches.tables import percentile, print_table
from clients.clock import SystemClock
from clients.storage.cosmos.settings import account_from
from clients.storage.cosmos.store import CosmosStore
from clients.storage.request_units import metered
from clients.storage.sqlite.store import SqliteStore
from domain.fleet.catalog import Backend, BackendLimits, ColdStart, Speed
from domain.identity.owners import Owner
from domain.log.events import TokenUsage
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import OF_TENANTS, Budgets, BudgetScope
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import PriceComponent, PriceKind, PriceSource, TimePrice
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.cosmos.account import account_in
from standins.cosmos.provisioning import COSMOS
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger

TURNS = 1000
AT_ONCE = 100
WIDE = Budgets(limits={scope: Decimal(100_000) for scope in OF_TENANTS if scope is not BudgetScope.RESPONSE})
WORST = Decimal("0.01")
ANSWER_S = 2.0
"""The time between reserving and settling; the callers start spread over it."""
TENANT = "tenant"
METERED = 20
PRICE = TimePrice(
    name="gpu",
    origin=PriceSource(source="made up", date="2026-11", region="laptop"),
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="machine", amount=Decimal("0.0003947"), count=Decimal(1)),),
    per_s=1,
    granularity_ms=100,
    idle_s=600,
)
GPU = Backend(
    name="gpu",
    model="model",
    system="bench",
    url="http://127.0.0.1:1/v1",
    served_model="model",
    price=PRICE,
    limits=BackendLimits(context_tokens=4096, max_output_tokens=2048, concurrency=8, request_timeout_s=600),
    speed=Speed(prefill_tokens_s=1000, decode_tokens_s=50),
    cold_start=ColdStart(scales_to_zero=True, p50_s=5, p99_s=60, idle_s=600),
)

type ReserveSettleTimes = tuple[float, float]


async def turn(ledger: Ledger, caller: int, answer_s: float) -> ReserveSettleTimes:
    """Return the milliseconds of reserving and of settling."""
    owner, response = Owner(tenant=TENANT, subject=f"user:{caller}"), f"resp_{ledger.clock.token()}"
    start = time.perf_counter()
    await ledger.reserve(owner, response, WORST)
    opened = await ledger.open_attempt(owner, attempt_of(owner, response, ledger.clock.now()))
    reserve_ms = (time.perf_counter() - start) * 1000
    await asyncio.sleep(answer_s)
    answered = time.perf_counter()
    usage = TokenUsage(input_tokens=500, output_tokens=200)
    progress = replace(opened.progress, usage=usage, result="done")
    closed = replace(opened, charge=opened.charge.closed(WORST / 3, line=BillLine.TOKENS), progress=progress)
    await ledger.close_attempt(owner, closed)
    await ledger.settle(owner, response)
    return reserve_ms, (time.perf_counter() - answered) * 1000


def attempt_of(owner: Owner, response: str, at: float) -> AttemptRecord:
    return AttemptRecord(
        response=response,
        subject=owner.subject,
        number=1,
        backend="main",
        price="tokens",
        charge=AttemptCharge(reserved=WORST),
        started_at=at,
        model="model",
    )


async def one_by_one(ledger: Ledger, caller: int, turns: int, answer_s: float) -> list[ReserveSettleTimes]:
    await asyncio.sleep(answer_s * caller / AT_ONCE)
    return [await turn(ledger, caller, answer_s) for _ in range(turns)]


async def at_once(ledger: Ledger, turns: int, callers: int, answer_s: float) -> list[ReserveSettleTimes]:
    each = await asyncio.gather(*(one_by_one(ledger, caller, turns // callers, answer_s) for caller in range(callers)))
    return [times for some in each for times in some]


def row(name: str, how: str, times: Sequence[float]) -> tuple[str, ...]:
    return (name, how, *(f"{percentile(list(times), share):.2f}" for share in (0.5, 0.95)))


async def measure(folder: Path, turns: int) -> list[tuple[str, ...]]:
    clock = SystemClock()
    store = SqliteStore(folder / "app.db", clock)
    ledger = Ledger(store, clock, WIDE)
    rows: list[tuple[str, ...]] = []
    for callers, answer_s in ((AT_ONCE, ANSWER_S), (1, 0.0), (AT_ONCE, 0.0)):
        report(f"{turns} turns, {callers} at once")
        times = await at_once(ledger, turns, callers, answer_s)
        how = f"{callers} at once, answers of {answer_s:.0f} s"
        rows.append(row("reserve", how, [reserve for reserve, _ in times]))
        rows.append(row("settle", how, [settle for _, settle in times]))
        rows.append(row("both", how, [sum(each) for each in times]))
    await store.close()
    return rows


async def on_gpu(ledger: Ledger, sessions: GpuSessions, number: int) -> None:
    """Run a turn's accounting in a GPU session, from its reservation to its settlement."""
    owner, response = Owner(tenant=TENANT, subject=f"user:{number}"), f"resp_{ledger.clock.token()}"
    await ledger.reserve(owner, response, WORST)
    record = attempt_of(owner, response, ledger.clock.now())
    entry = await sessions.enter(GPU, owner, record, limit_s=60)
    assert entry
    opened = await ledger.open_attempt(owner, replace(record, charge=AttemptCharge(reserved=entry.worst)))
    shares = await sessions.leave(GPU, entry, ended=ledger.clock.now())
    charge = replace(opened.charge, status=AttemptStatus.CLOSED, shares=shares)
    progress = replace(opened.progress, usage=TokenUsage(output_tokens=200))
    closed = replace(opened, charge=charge, progress=progress)
    await ledger.close_attempt(owner, closed)
    await ledger.settle(owner, response)


async def units(cluster: LocalCluster) -> list[tuple[str, ...]]:
    """Return the request units of a turn's accounting, after its counters exist."""
    clock = SystemClock()
    account = account_from({**cluster.environment(), "GANGLION_COSMOS_KEY": account_in(cluster.data).key})
    store = CosmosStore(account, clock)
    ledger = Ledger(store, clock, WIDE)
    sessions = GpuSessions(store=store, ledger=ledger, clock=clock)
    kinds: dict[str, Callable[[], Awaitable[object]]] = {
        "paid by the token": lambda: turn(ledger, 0, 0.0),
        "in a GPU's session": lambda: on_gpu(ledger, sessions, 0),
    }
    rows: list[tuple[str, ...]] = []
    for name, one in kinds.items():
        await one()
        with metered() as charge:
            for _ in range(METERED):
                await one()
        rows.append((name, f"{charge.requests / METERED:.1f}", f"{charge.units / METERED:.0f}"))
    await store.close()
    return rows


def main() -> None:
    turns = max(AT_ONCE, chosen_number(TURNS, "turns"))
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder), turns))
    print_table(("step of a turn", "turns", "median ms", "p95 ms"), rows)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(ClusterOptions(data=Path(folder), store=COSMOS, host=False)) as cluster,
    ):
        print_table(("a turn's money", "requests", "units"), asyncio.run(units(cluster)))


if __name__ == "__main__":
    main()

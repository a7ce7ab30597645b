"""How much time do the rate limits of owners and tenants add to an admission, on the SQLite store?

`python -m benches.limits [TURNS]`: milliseconds. A turn's idempotency record is measured alone and in parallel with the
limits; then for many concurrent callers, who share one compare-and-swap document.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from api.turns.deliveries import both
from benches.command_line import chosen_number
from benches.tables import percentile, print_table
from clients.clock import SystemClock
from clients.storage.sqlite.store import SqliteStore
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.turns.rate_limits import RateLimit, RateLimits
from domain.turns.webhook_events import WebhookEndpoints
from state.money.limit_changes import ChangedLimits
from state.rate_limits import RateLimiter
from state.turns.responses import TurnStore

TURNS = 400
AT_ONCE = 50
WIDE = RateLimit(per_minute=1_000_000, burst=1_000_000, running=1_000_000)
OWNER = Owner(tenant="tenant", subject="user:1")

type AdmissionStep = Callable[[str], Awaitable[object]]


async def one_by_one(step: AdmissionStep, turns: int) -> list[float]:
    """Return the milliseconds of each."""
    clock = SystemClock()
    times: list[float] = []
    for _ in range(turns):
        response = member_id("resp", thread=clock.token(), token=clock.token())
        start = time.perf_counter()
        await step(response)
        times.append((time.perf_counter() - start) * 1000)
    return times


async def at_once(step: AdmissionStep, turns: int) -> list[float]:
    each = await asyncio.gather(*(one_by_one(step, turns // AT_ONCE) for _ in range(AT_ONCE)))
    return [time for times in each for time in times]


async def measure(folder: Path, turns: int) -> list[tuple[str, ...]]:
    clock = SystemClock()
    store = SqliteStore(folder / "app.db", clock)
    known = TurnStore(store, clock, WebhookEndpoints())
    limits = RateLimiter(
        store=store,
        turns=known,
        clock=clock,
        limits=RateLimits(owner=WIDE, tenant=WIDE),
        changes=ChangedLimits(store, clock),
    )

    async def claim(response: str) -> None:
        await known.record_request(
            OWNER, key=response, body_hash="", response_id=response, repeat=False, new_thread=True
        )

    async def limited(response: str) -> None:
        await both(claim(response), limits.enter(OWNER, response))
        limits.leave(OWNER, response)

    rows: list[tuple[str, ...]] = []
    for name, step in (("idempotency record alone", claim), ("idempotency record and limits, in parallel", limited)):
        for how, run in (("one by one", one_by_one), (f"{AT_ONCE} at once", at_once)):
            times = await run(step, turns)
            rows.append((name, how, *(f"{percentile(times, share):.2f}" for share in (0.5, 0.95))))
    await store.close()
    return rows


def main() -> None:
    turns = max(AT_ONCE, chosen_number(TURNS, "turns"))
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measure(Path(folder), turns))
    print_table(("step of admission", "callers", "median ms", "p95 ms"), rows)


if __name__ == "__main__":
    main()

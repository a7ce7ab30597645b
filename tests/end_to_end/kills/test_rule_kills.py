"""Does the rule of a GPU stay in force, or change once, where host or worker die between its replay and its record?"""

import asyncio
import json
from collections.abc import Iterator
from copy import replace
from decimal import Decimal
from pathlib import Path

import pytest

from clients.clock import SystemClock
from domain.fleet.catalog import Backend, ColdStart
from domain.routing.rent_or_buy import DEFAULT_RULE
from domain.routing.rules.rule_choice import DAY_S, RuleChoice
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from state.fleet.demand_log import DemandLog
from state.fleet.fleet_counters import FleetCounters
from state.fleet.rental_rules import RentalRules
from tests.end_to_end.bills.test_session_bill import RATE, TAIL_S, paid_by_time
from tests.end_to_end.books import Books, books_of
from tests.end_to_end.callers import Caller, calling
from tests.end_to_end.cold import GPU, UNBOUNDED
from tests.end_to_end.conftest import HASTY
from tests.end_to_end.operation.packages import publish
from tests.end_to_end.waiting import eventually
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import backend

DAYS, BURST = 4, 60
SEEDED: Backend = replace(backend(GPU), cold_start=ColdStart(scales_to_zero=True, p50_s=1, p99_s=10, idle_s=TAIL_S))


async def seed(books: Books) -> RuleChoice:
    """Leave the demand of four days and a rule that is two days old; return that rule."""
    now = SystemClock().now()
    clock = FakeClock(start=now - (DAYS + 1) * DAY_S)
    demand = DemandLog(books.store, clock, FleetCounters(books.store))
    for _ in range(DAYS):
        for _ in range(BURST):
            await demand.add(SEEDED, Decimal("0.02"), busy_s=1.0)
            clock.advance(TAIL_S)
        clock.advance(DAY_S - BURST * TAIL_S)
    old = RuleChoice(
        rule=DEFAULT_RULE, at=now - 2 * DAY_S, second_usd=float(RATE), turns=7, reason="a test", dollars={}
    )
    await RentalRules(books.store, SystemClock()).adopt(SEEDED, old)
    return old


async def rule(books: Books) -> RuleChoice:
    found = await RentalRules(books.store, SystemClock()).refresh(SEEDED)
    assert found is not None
    return found


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[LocalCluster]:
    """A cluster that is not started, of an app that dies where it is told to."""
    app, data = tmp_path / "app", tmp_path / "data"
    publish(ROOT, app)
    (app / "function_app.py").rename(app / "product.py")
    (app / "function_app.py").write_bytes(Path(__file__).with_name("crashing.py").read_bytes())
    data.mkdir()
    environment = {**HASTY, **UNBOUNDED, **paid_by_time(data)}
    cluster = LocalCluster(ClusterOptions(data=data, app=app, cold="1", environment=environment))
    yield cluster
    cluster.stop()


async def crash(caller: Caller, order: Path) -> None:
    """Sweep until the worker has died where it was told to."""

    async def dead() -> bool | None:
        return None if await asyncio.to_thread(order.exists) else True

    sweeping = asyncio.create_task(caller.http.post("/admin/functions/sweeper", params={"wait": "true"}))
    await eventually(dead, what="the crash")
    await asyncio.gather(sweeping, return_exceptions=True)


@pytest.mark.campaign
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("is_host_killed", [False, True], ids=["worker", "both"])
async def test_a_kill_between_replay_and_record_leaves_the_old_rule_and_the_next_run_repeats_it(
    stopped: LocalCluster, when: str, *, is_host_killed: bool
) -> None:
    order = stopped.data / "crash.json"
    async with books_of(stopped.data) as books:
        old = await seed(books)
        order.write_text(json.dumps(["replace rule", when]))
        await asyncio.to_thread(stopped.start)
        async with calling(stopped) as caller:
            await crash(caller, order)
            left = await rule(books)
            assert (left == old) is (when == "before")
            if is_host_killed:
                await asyncio.to_thread(stopped.kill_host)
                await asyncio.to_thread(stopped.restart_host)
            await caller.sweep()
            found = await rule(books)
            assert found.turns == DAYS * BURST
            assert found.dollars["adopted"] <= found.dollars["default"] < found.dollars["never"]
            if when == "after":
                assert found == left
        token = stopped.issuer.user_token(now=found.at, claims={"roles": ["Operations.Read"]})
        async with calling(stopped, token) as operator:
            (shown,) = [each for each in (await operator.http.get("/v1/fleet")).json()["data"] if each["id"] == GPU]
            assert shown["rule"]["chosen_at"] == found.at
            assert set(shown["rule"]["would_have_cost_usd"]) == {"adopted", "default", "next", "never", "always"}

"""Does the ledger equal the bill of the GPU's provider, whichever turns arrive and whichever processes crash?"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from activities.maintenance.sweep import GpuSessionCloser
from clients.storage.port import DocumentStore
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import HELD, TAKEN, Budgets
from domain.money.ledger_records import AttemptRecord, nanos
from domain.money.usage import COST, grouped
from domain.turns.response import Response
from state.money.gpu_session_billing import GpuSessionBilling
from state.money.ledger import Ledger, money_key
from state.money.usage_rows import UsageRows
from tests.activities.cold_starts import Cluster, cluster_with, cold_of, kill
from tests.domain.fleets import GPU
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore

pytestmark = pytest.mark.slow

STEP_NANOS = nanos(GPU.amount) // 10
TENANTS = [Owner(tenant=f"tenant{number}", subject="user:1") for number in range(3)]
CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.UNAVAILABLE)
MOST_SWEEPS = 200


@dataclass(slots=True, kw_only=True)
class Visit:
    """A turn that arrives at a time, in seconds since the loop's start."""

    at: float
    owner: Owner
    response: Response | None = None
    done: bool = False

    async def run(self, cluster: Cluster) -> None:
        await asyncio.sleep(max(0.0, self.at - asyncio.get_running_loop().time()))
        self.response = self.response or await cluster.world.admit("hello", owner=self.owner)
        await cluster.respond(self.response)
        self.done = True


@dataclass(slots=True, kw_only=True)
class History:
    """Turns of several tenants and crashes of their process, all drawn from one seed."""

    seed: int
    turns: int = 12
    crashes: int = 2
    random: Random = field(init=False)
    gpu: SleepingGpu = field(init=False)
    cluster: Cluster = field(init=False)
    visits: list[Visit] = field(default_factory=list[Visit])

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - a test's seed
        start_s = self.random.choice([1.0, 20.0, 90.0])
        self.gpu = SleepingGpu(
            start_s=lambda: start_s,
            concurrency=self.random.choice([1, 8]),
            word_s=self.random.choice([0.05, 1.3, 9.0]),
            first_word_s=self.random.choice([0.1, 4.0]),
        )
        self.cluster = cluster_with(self.gpu, cold_of(start_s))
        at = 0.0
        for _ in range(self.turns):
            self.visits.append(Visit(at=at, owner=self.random.choice(TENANTS)))
            at += self.random.choice([0.0, 3.3, 40.0, 250.0, 900.0]) * self.random.random()

    async def run(self) -> None:
        """Run all turns, with the sweep once a minute."""
        sweeper = asyncio.create_task(self.sweep_each_minute())
        await self.run_turns()
        await kill([sweeper])

    async def sweep_each_minute(self) -> None:
        closer = self.closer(self.cluster.store)
        while True:
            await asyncio.sleep(60)
            await closer.close_sessions()

    async def run_turns(self) -> None:
        crashes = sorted(self.random.random() * self.visits[-1].at for _ in range(self.crashes))
        for at in crashes:
            tasks = self.tasks()
            await asyncio.wait(tasks, timeout=max(0.0, at - asyncio.get_running_loop().time()))
            await kill([*tasks, *self.cluster.world.warmer.background_tasks])
            await asyncio.sleep(1.0)
            self.cluster.world = self.cluster.new_process()
        await asyncio.gather(*self.tasks())
        await asyncio.sleep(GPU.idle_s + 100)
        assert self.gpu.life is None

    def tasks(self) -> list[asyncio.Task[None]]:
        runs = [visit.run(self.cluster) for visit in self.visits if not visit.done]
        return [asyncio.create_task(each) for each in runs] or [asyncio.create_task(asyncio.sleep(0))]

    async def sweep(self) -> None:
        """Sweep until nothing is left; each sweep may crash anywhere."""
        for number in range(MOST_SWEEPS):
            chance = Random(self.seed * MOST_SWEEPS + number)  # noqa: S311 - a test's seed
            flaky = FlakyStore(self.cluster.store, chance, Faults(rate=0.04, kinds=CRASHES))
            try:
                await self.closer(flaky).close_sessions()
            except CrashError:
                continue
            billing = self.closer(self.cluster.store).billing
            if not (await billing.finished_sessions() or await billing.unposted_sessions()):
                return
        raise AssertionError("the sweeps never finished")

    def closer(self, store: DocumentStore) -> GpuSessionCloser:
        world = self.cluster.world
        return GpuSessionCloser(
            GpuSessionBilling(
                store=store,
                ledger=Ledger(store, world.clock, Budgets()),
                fleet=world.fleet,
                prices={GPU.name: GPU},
                clock=world.clock,
            )
        )

    def billed(self) -> int:
        """Return the provider's bill in nano-dollars: each lifetime in steps of 100 ms."""
        lived = [life.ended - life.started for life in self.gpu.lives if life.ended is not None]
        return sum(math.ceil(round(seconds * 10, 5)) for seconds in lived) * STEP_NANOS

    async def records(self) -> Sequence[AttemptRecord]:
        found = [
            each
            for owner in TENANTS
            for each in await self.cluster.store.list(money_key(owner.tenant), prefix="attempt_")
        ]
        return [AttemptRecord.from_document(each.body) for each in found]

    async def counted(self) -> tuple[int, int]:
        """Return the spent and reserved amounts of the monthly counters of all tenants."""
        counters = [
            each.body
            for owner in TENANTS
            for each in await self.cluster.store.list(money_key(owner.tenant), prefix="budget_tenant_")
            if each.id.count("-") == 1
        ]
        return sum(each[TAKEN] for each in counters), sum(each[HELD] for each in counters)

    async def used(self) -> Sequence[int]:
        """Return the cost in the rows of all tenants, and in their roll-ups."""
        usage, days = UsageRows(self.cluster.store), {"first": "2027-01-01", "last": "2027-02-28"}
        rows = [row for owner in TENANTS for row in await usage.of_tenant(owner.tenant, **days)]
        rolled = [row for owner in TENANTS for row in await usage.rolled_up(owner.tenant, **days)]
        for by in (("hour",), ("model", "backend")):
            assert [each.causes for each in grouped(rolled, by)] == [each.causes for each in grouped(rows, by)]
        return [sum(row.counts[COST] for row in found) for found in (rows, rolled)]


async def assert_exact(history: History) -> None:
    records = await history.records()
    assert {each.charge.status for each in records} == {AttemptStatus.CLOSED}
    assert sum(nanos(each.charge.cost or GPU.amount) for each in records) == history.billed()
    assert await history.counted() == (history.billed(), 0)
    assert await history.used() == [history.billed()] * 2


def story(seed: int, *, crashes: int) -> None:
    async def check() -> None:
        history = History(seed=seed, crashes=crashes)
        await history.run()
        charged = sum(nanos(each.charge.cost or GPU.amount) for each in await history.records())
        assert charged >= history.billed()
        await history.sweep()
        await assert_exact(history)

    in_no_time(check())


QUICK = 8
MANY = 400


def seeds() -> list[object]:
    campaign = [pytest.mark.campaign, pytest.mark.long]
    return [pytest.param(seed, marks=[] if seed < QUICK else campaign) for seed in range(MANY)]


@pytest.mark.parametrize("seed", seeds())
def test_the_ledger_of_closed_sessions_is_the_bill_to_the_last_nano_dollar(seed: int) -> None:
    story(seed, crashes=0)


@pytest.mark.parametrize("seed", seeds())
def test_the_ledger_is_the_bill_though_processes_crash(seed: int) -> None:
    story(seed, crashes=3)

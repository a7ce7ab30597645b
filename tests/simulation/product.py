"""How does one seed run the whole product: owners, turns, workers, the durable host, the store, backends and readers?

Everything runs in one process, in virtual time. The faults: crashes of workers and hosts, stopped workers that wake
late, lost, late and repeated messages, lost replies of the store, failing statements of the host's database (a full
disk among them), failing and slow backends, clock jumps, cancels.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import Any, override

from activities.maintenance.sweep import SweepDelays
from clients.backends.port import AnswerEnd, TextPiece
from clients.orchestrations import DurableOrchestrations
from clients.storage.port import Container
from domain.errors import GanglionError
from domain.fleet.catalog import ContinuationMode
from domain.log.events import ResponseStatus, TokenUsage
from domain.money.budgets import HELD, TAKEN, Budgets, BudgetScope
from domain.money.ledger_records import AttemptRecord, nanos
from domain.turns.response import Response
from state.money.ledger import money_key
from state.turns.responses import response_of
from tests.activities.turns.test_campaign import RandomBackend
from tests.devhost_campaigns.in_process import Faults as WorkerFaults
from tests.fakes.clocks import LoopClock
from tests.fakes.stores import CrashError, Faults, MemoryStore
from tests.fakes.worlds import OWNER, PRICE, SETTINGS, World, backend
from tests.simulation.callers import Caller
from tests.simulation.hub import Hub, HubClient
from tests.simulation.identity import Issuer
from tests.simulation.plan import Plan
from tests.simulation.stopping import StoppableStore
from tests.simulation.worker import ProductWorker

OWNERS = (OWNER, replace(OWNER, subject="user:33333333-3333-3333-3333-333333333333"))
DELAYS = SweepDelays(unbegun_s=5.0, silent_s=60.0, unsettled_s=5.0)
DEADLINE_S = 300.0
SYNC_WAIT_S = 20.0
CAPS = (512, 2, 4)
"""What an attempt reserves at least: the answers have up to 35 tokens, so most of them reach the smaller caps."""

MILLION = Decimal(1_000_000)
SWEEP_EVERY_S = 20.0
"""Virtual seconds."""


class JumpingClock(LoopClock):
    """The loop's clock, which also jumps ahead and back."""

    jumped = 0.0

    def now(self) -> float:
        return super().now() + self.jumped


@dataclass(slots=True)
class Bill:
    """What a backend charges for one call of a process: the tokens that it reports, or else the pieces that it sent."""

    tokens: TokenUsage = field(default_factory=TokenUsage)

    @property
    def dollars(self) -> Decimal:
        tokens = self.tokens
        return (PRICE.input * tokens.input_tokens + PRICE.output * tokens.output_tokens) / MILLION


@dataclass(slots=True)
class BillingBackend(RandomBackend):
    """Adds each call of a process to `bills`."""

    bills: list[Bill]

    @override
    async def speak(self, partial: str, limit: int) -> AsyncIterator[TextPiece | AnswerEnd]:
        bill = Bill()
        self.bills.append(bill)
        async for part in RandomBackend.speak(self, partial, limit):
            if isinstance(part, AnswerEnd):
                bill.tokens = part.usage or bill.tokens
            else:
                bill.tokens = TokenUsage(output_tokens=bill.tokens.output_tokens + 1)
            yield part


@dataclass(slots=True)
class Product:
    """One run: its parts, its callers and what was charged."""

    plan: Plan
    random: Random
    clock: JumpingClock
    store: MemoryStore
    issuer: Issuer
    budgets: Budgets
    hub: Hub = field(init=False)
    cap: int = 512
    is_calm: bool = False
    bills: list[Bill] = field(default_factory=list[Bill])
    callers: list[Caller] = field(default_factory=list[Caller])
    counts: Counter[str] = field(default_factory=Counter[str])
    views: list[StoppableStore] = field(default_factory=list[StoppableStore])

    def world(self) -> World[JumpingClock]:
        """The product as one process has it; its store may fail or crash the process."""
        rate = 0 if self.is_calm else self.plan.store_fault_rate
        faults = Faults(rate=rate, pause=self.random.choice([0, 3]))
        view = StoppableStore(self.store, Random(self.random.getrandbits(64)), faults)  # noqa: S311 - a run must repeat
        self.views.append(view)
        failing = 0 if self.is_calm else self.plan.backend_fault_rate
        backends = {
            name: (backend(name, continues), BillingBackend(self.random, failing, continues, self.bills))
            for name, continues in (("main", ContinuationMode.ASSISTANT_PREFILL), ("spare", ContinuationMode.NO))
        }
        settings = replace(
            SETTINGS, handover_s=20.0, default_output_tokens=self.cap, deadline_s=DEADLINE_S, sync_wait_s=SYNC_WAIT_S
        )
        return World(
            store=view,
            clock=self.clock,
            backends=backends,
            settings=settings,
            budgets=self.budgets,
            authenticator=self.issuer.authenticator(self.clock, OWNER.tenant),
            orchestrations=DurableOrchestrations(HubClient(find=lambda: self.hub), self.clock),
        )

    async def admitted(self) -> list[Response]:
        """All turns that the store knows, acknowledged or not."""
        found: list[Response] = []
        for status in ResponseStatus:
            found += [
                response_of(one)
                for one in await self.store.find(Container.TURNS, kind="response", status=status.value, before=inf)
            ]
        return found

    async def watch(self) -> None:
        """Check the budgets again and again."""
        while True:
            await self.check_budgets(OWNERS[0].tenant)
            await self.clock.sleep(self.random.choice([0.2, 3.0]))

    async def check_budgets(self, tenant: str) -> None:
        """No counter is ever past its limit, and what is held is a part of what is taken.

        What a stopped worker's backend has written after the takeover is spent already: it is booked past the limit.
        """
        key = money_key(tenant)
        counters = await self.store.list(key, prefix="budget_")
        attempts = [one.read_as(AttemptRecord.from_document) for one in await self.store.list(key, prefix="attempt_")]
        late = sum(nanos(cost) for attempt in attempts for cost in attempt.charge.late.values())
        limits = {nanos(limit) + late for limit in self.budgets.limits.values()}
        for counter in counters:
            is_limited = len(counter.id.rsplit("_", 1)[1]) == len("2027-01-15")
            assert 0 <= counter.body[HELD] <= counter.body[TAKEN], counter
            assert not is_limited or counter.body[TAKEN] <= max(limits), counter

    async def sweep(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_EVERY_S)
            world = self.world()
            await tolerate(partial(world.sweep(DELAYS).sweep, world.orchestrations))

    async def jump(self) -> None:
        for _ in range(self.plan.clock_jumps):
            await self.clock.sleep(self.random.uniform(1, 15))
            self.clock.jumped += self.random.uniform(-20, 30)
            self.counts["clock jumps"] += 1
        if self.plan.rotates_keys:
            await self.clock.sleep(self.random.uniform(1, 15))
            self.issuer.rotate()

    def calm_down(self, worker: ProductWorker) -> None:
        """From now on nothing fails."""
        self.is_calm, self.issuer.rate = True, 0.0
        self.hub.calm_down()
        worker.crash_rate, worker.stop_rate, worker.faults = 0.0, 0.0, WorkerFaults(lost=0.0, longest_s=0.003)
        for view in self.views:
            view.faults.rate = 0.0
        worker.die(worker.current)


async def tolerate(act: Callable[[], Awaitable[Any]]) -> None:
    try:
        await act()
    except (GanglionError, CrashError):
        return


@contextmanager
def cancelled_at_end(*tasks: "asyncio.Task[Any]") -> Generator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def product_of(plan: Plan) -> Product:
    clock, limit = JumpingClock(seed=plan.seed), plan.day_budget
    budgets = Budgets(limits={BudgetScope.TENANT_DAY: limit, BudgetScope.OWNER_DAY: limit})
    random = Random(plan.seed)  # noqa: S311 - a run must repeat
    issuer = Issuer(random, plan.issuer_fault_rate)
    return Product(plan, random, clock, MemoryStore(clock), issuer, budgets, cap=CAPS[plan.seed % len(CAPS)])


def worker_of(product: Product) -> ProductWorker:
    plan = product.plan
    faults = WorkerFaults(lost=plan.lost_message_rate, longest_s=plan.longest_delay_s)
    return ProductWorker(
        product.world, product.random, faults, crashes=plan.worker_crash_rate, stops=plan.worker_stop_rate
    )


def hub_of(product: Product, worker: ProductWorker, folder: Path) -> Hub:
    return Hub(
        path=folder / "hub.db",
        worker=worker,
        catalog=lambda: worker.current.app.catalog,
        random=product.random,
        crashes=product.plan.host_crashes,
        statement_faults=product.plan.statement_fault_rate,
    )


def caller_of(product: Product, worker: ProductWorker, number: int) -> Caller:
    return Caller(
        number=number,
        owner=OWNERS[number % 2],
        issuer=product.issuer,
        worker=worker,
        random=product.random,
        counts=product.counts,
    )


async def play(plan: Plan, folder: Path) -> tuple[Product, ProductWorker]:
    """Run the turns of two owners to their end, faults first, then in calm."""
    product = product_of(plan)
    worker = worker_of(product)
    product.hub = hub_of(product, worker, folder)
    product.callers = [caller_of(product, worker, number) for number in range(plan.turns)]
    running = [asyncio.ensure_future(each) for each in (product.hub.run(), product.sweep(), product.watch())]
    with cancelled_at_end(*running):
        asking = asyncio.gather(product.jump(), *(caller.run() for caller in product.callers))
        await asyncio.wait({asking, asyncio.ensure_future(all_answered(product))}, return_when=asyncio.FIRST_COMPLETED)
        await disturb(product, worker)
        await asyncio.wait_for(asking, 2 * DEADLINE_S)
        await worker.all_woken()
        await product.clock.sleep(10 * SWEEP_EVERY_S)
        assert not any(each.done() for each in running), running
    await asyncio.gather(*running, return_exceptions=True)
    product.counts += product.hub.counts + worker.counts
    product.counts["store faults"] = sum(call.fault is not None for view in product.views for call in view.calls)
    product.counts["failed requests for keys"] = product.issuer.failed
    return product, worker


async def all_answered(product: Product) -> None:
    for caller in product.callers:
        await caller.answered.wait()


async def disturb(product: Product, worker: ProductWorker) -> None:
    """Cancel some turns, then let all faults end."""
    known = [caller for caller in product.callers if caller.response]
    cancelled = product.random.sample(known, min(product.plan.cancels, len(known)))
    await asyncio.gather(*(caller.cancel() for caller in cancelled))
    await product.clock.sleep(product.random.uniform(0, 40))
    product.calm_down(worker)

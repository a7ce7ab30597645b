"""How does one seed run the whole product: owners, turns, workers, the durable host, the store, backends and readers?

Everything runs in one process, in virtual time. The faults: crashes of workers and hosts, stopped workers that wake
late, lost, late and repeated messages, lost replies of the store, failing statements of the host's database (a full
disk among them), failing and slow backends, clock jumps, cancels.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, override

from activities.maintenance.sweep import SweepDelays
from clients.backends.port import AnswerEnd, TextPiece
from clients.orchestrations import DurableOrchestrations
from domain.errors import Exhausted, GanglionError, Retryable
from domain.fleet.catalog import ContinuationMode
from domain.identity.owners import Owner
from domain.log.events import LogEvent, ResponseStatus, TokenUsage
from domain.log.transcript import read_log
from domain.money.budgets import HELD, TAKEN, Budgets, BudgetScope
from domain.money.ledger_records import AttemptRecord, nanos
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.money.ledger import money_key
from state.turns.responses import TurnStore
from tests.activities.test_campaign import RandomBackend, events_of
from tests.devhost_campaigns.in_process import Faults as WorkerFaults
from tests.fakes.clocks import LoopClock
from tests.fakes.stores import CrashError, Faults, MemoryStore
from tests.fakes.worlds import OWNER, PRICE, SETTINGS, World, backend
from tests.simulation.hub import Hub, HubClient
from tests.simulation.plan import Plan
from tests.simulation.stopping import StoppableStore
from tests.simulation.worker import ProductWorker

OWNERS = (OWNER, replace(OWNER, subject="user:33333333-3333-3333-3333-333333333333"))
DELAYS = SweepDelays(unbegun_s=5.0, silent_s=60.0, unsettled_s=5.0)
DEADLINE_S = 300.0
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

    caller: StoppableStore
    tokens: TokenUsage = field(default_factory=TokenUsage)

    @property
    def dollars(self) -> Decimal:
        tokens = self.tokens
        return (PRICE.input * tokens.input_tokens + PRICE.output * tokens.output_tokens) / MILLION


@dataclass(slots=True)
class BillingBackend(RandomBackend):
    """Adds each call of a process to `bills`."""

    caller: StoppableStore
    bills: list[Bill]

    @override
    async def speak(self, partial: str, limit: int) -> AsyncIterator[TextPiece | AnswerEnd]:
        bill = Bill(self.caller)
        self.bills.append(bill)
        async for part in RandomBackend.speak(self, partial, limit):
            if isinstance(part, AnswerEnd):
                bill.tokens = part.usage or bill.tokens
            else:
                bill.tokens = TokenUsage(output_tokens=bill.tokens.output_tokens + 1)
            yield part


@dataclass(slots=True)
class Product:
    """One run: its parts, what was acknowledged and what readers saw."""

    plan: Plan
    random: Random
    clock: JumpingClock
    store: MemoryStore
    budgets: Budgets
    cap: int = 512
    is_calm: bool = False
    bills: list[Bill] = field(default_factory=list[Bill])
    acknowledged: list[Response] = field(default_factory=list[Response])
    seen: dict[str, list[list[LogEvent]]] = field(default_factory=dict[str, list[list[LogEvent]]])
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
            name: (backend(name, continues), BillingBackend(self.random, failing, continues, view, self.bills))
            for name, continues in (("main", ContinuationMode.ASSISTANT_PREFILL), ("spare", ContinuationMode.NO))
        }
        settings = replace(SETTINGS, handover_s=20.0, default_output_tokens=self.cap)
        return World(store=view, clock=self.clock, backends=backends, settings=settings, budgets=self.budgets)

    def orchestrations(self, hub: Hub) -> DurableOrchestrations:
        return DurableOrchestrations(HubClient(hub=hub), self.clock)

    async def request(self, hub: Hub, owner: Owner) -> None:
        """Admit a turn and start it, as the API does; the caller repeats what failed, until it is acknowledged."""
        await self.clock.sleep(self.random.uniform(0, 20))
        admitted: Response | None = None
        while admitted is None:
            try:
                admitted = await self.world().admit("count", owner=owner, deadline_s=DEADLINE_S)
            except (Retryable, CrashError):
                await self.clock.sleep(1.0)
            except Exhausted:
                self.counts["refused for a budget"] += 1
                return
        self.acknowledged.append(admitted)
        await tolerate(lambda: self.orchestrations(hub).start(admitted))

    async def read(self, response: Response) -> None:
        """Read a log until it has ended."""
        turns = TurnStore(self.store, self.clock, WebhookEndpoints())
        seen = self.seen.setdefault(response.id, [])
        while True:
            await self.check_budgets(response.owner)
            slots = await turns.slots(response.owner, response.id)
            seen.append(events_of(slots))
            if read_log(slots).ending is not None:
                return
            await self.clock.sleep(self.random.choice([0.2, 3.0]))

    async def check_budgets(self, owner: Owner) -> None:
        """No counter is ever past its limit, and what is held is a part of what is taken.

        What a stopped worker's backend has written after the takeover is spent already: it is booked past the limit.
        """
        key = money_key(owner.tenant)
        counters = await self.store.list(key, prefix="budget_")
        attempts = [one.read_as(AttemptRecord.from_document) for one in await self.store.list(key, prefix="attempt_")]
        late = sum(nanos(cost) for attempt in attempts for cost in attempt.charge.late.values())
        limits = {nanos(limit) + late for limit in self.budgets.limits.values()}
        for counter in counters:
            is_limited = len(counter.id.rsplit("_", 1)[1]) == len("2027-01-15")
            assert 0 <= counter.body[HELD] <= counter.body[TAKEN], counter
            assert not is_limited or counter.body[TAKEN] <= max(limits), counter

    async def cancel(self, hub: Hub, response: Response) -> None:
        await self.clock.sleep(self.random.uniform(0, 10))

        async def act() -> None:
            await self.world().turns.finish(response.owner, response.id, status=ResponseStatus.CANCELLED)
            await self.orchestrations(hub).signal_cancelled(response.id)

        await tolerate(act)
        self.counts["cancels"] += 1

    async def sweep(self, hub: Hub) -> None:
        while True:
            await self.clock.sleep(SWEEP_EVERY_S)
            world = self.world()
            sweep = world.sweep(DELAYS)
            await tolerate(lambda sweep=sweep: sweep.sweep(self.orchestrations(hub)))

    async def jump(self) -> None:
        for _ in range(self.plan.clock_jumps):
            await self.clock.sleep(self.random.uniform(1, 15))
            self.clock.jumped += self.random.uniform(-20, 30)
            self.counts["clock jumps"] += 1

    def calm_down(self, hub: Hub, worker: ProductWorker) -> None:
        """From now on nothing fails."""
        self.is_calm = True
        hub.calm_down()
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
    return Product(plan, random, clock, MemoryStore(clock), budgets, cap=CAPS[plan.seed % len(CAPS)])


async def play(plan: Plan, folder: Path) -> tuple[Product, Hub]:
    """Run the turns of two owners to their end, faults first, then in calm."""
    product = product_of(plan)
    random, clock = product.random, product.clock
    faults = WorkerFaults(lost=plan.lost_message_rate, longest_s=plan.longest_delay_s)
    worker = ProductWorker(product.world, random, faults, crashes=plan.worker_crash_rate, stops=plan.worker_stop_rate)
    hub = Hub(
        path=folder / "hub.db",
        worker=worker,
        catalog=lambda: worker.current.app.catalog,
        random=random,
        crashes=plan.host_crashes,
        statement_faults=plan.statement_fault_rate,
    )
    hosts, sweeps = asyncio.ensure_future(hub.run()), asyncio.ensure_future(product.sweep(hub))
    with cancelled_at_end(hosts, sweeps):
        await asyncio.gather(
            product.jump(), *(product.request(hub, OWNERS[number % 2]) for number in range(plan.turns))
        )
        cancelled = random.sample(product.acknowledged, min(plan.cancels, len(product.acknowledged)))
        readers = [asyncio.ensure_future(product.read(one)) for one in product.acknowledged]
        await asyncio.gather(*(product.cancel(hub, one) for one in cancelled))
        await clock.sleep(random.uniform(0, 40))
        product.calm_down(hub, worker)
        await asyncio.wait_for(asyncio.gather(*readers), 2 * DEADLINE_S)
        await worker.all_woken()
        await clock.sleep(10 * SWEEP_EVERY_S)
        assert not hosts.done(), hosts
    await asyncio.gather(hosts, sweeps, return_exceptions=True)
    product.counts += hub.counts + worker.counts
    product.counts["store faults"] = sum(call.fault is not None for view in product.views for call in view.calls)
    return product, hub

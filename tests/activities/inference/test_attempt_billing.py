"""Is a run charged that died on a backend billed by time, however its successor ends?"""

from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from activities.inference.attempt_billing import AttemptBilling, OpenedAttempt
from activities.inference.attempt_meter import AttemptMeter
from activities.inference.log_writer import LogWriter
from activities.inference.task import AttemptTask
from domain.errors import Exhausted
from domain.fleet.catalog import ColdStart
from domain.fleet.failure_classes import FailureClass
from domain.log.events import AttemptOutcome
from domain.log.transcript import Transcript
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import Budgets, BudgetScope
from domain.wire import FAILOVER
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from tests.domain.fleets import GPU as PRICE
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend

COLD = ColdStart(scales_to_zero=True, p50_s=10, p99_s=30, idle_s=PRICE.idle_s)
GPU = replace(backend("gpu"), price=PRICE, cold_start=COLD)


@dataclass(slots=True, kw_only=True)
class Scene:
    """One attempt at a backend that scales to zero; its runs die one after another."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(init=False)
    ledger: Ledger = field(init=False)
    sessions: GpuSessions = field(init=False)
    billing: AttemptBilling = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.ledger = Ledger(self.store, self.clock, Budgets())
        self.sessions = GpuSessions(store=self.store, ledger=self.ledger, clock=self.clock)
        self.billing = AttemptBilling(self.ledger, self.sessions, lambda _tenant: None)

    async def task(self) -> AttemptTask:
        world = World(store=self.store, clock=self.clock, backends={"gpu": (GPU, FakeBackend(says("x")))})
        return AttemptTask(
            owner=OWNER,
            response=await world.admit("hello"),
            number=1,
            backend=GPU,
            worst_cost=Decimal("0.01"),
            output_tokens=10,
            retries=0,
            has_alternative=False,
            is_cold=True,
        )

    async def open(self, task: AttemptTask) -> OpenedAttempt:
        return await self.billing.open(task, at=self.clock.now())

    async def reject(self, task: AttemptTask, opened: OpenedAttempt) -> None:
        meter = AttemptMeter(self.clock, price=PRICE, record=opened.record, earlier=())
        meter.is_called = True
        outcome = AttemptOutcome(attempt=1, result=FAILOVER, failure_class=FailureClass.BROKEN)
        writer = LogWriter(
            World(store=self.store, clock=self.clock, backends={}).turns,
            self.clock,
            owner=OWNER,
            response_id=task.response.id,
            log=Transcript(),
            attempt=1,
        )
        await self.billing.close(task, opened, meter, outcome, writer=writer)


async def test_a_run_whose_request_is_rejected_pays_nothing() -> None:
    scene = Scene()
    task = await scene.task()
    await scene.reject(task, await scene.open(task))
    (closed,) = await scene.ledger.attempts(OWNER, task.response.id)
    assert (closed.charge.status, closed.charge.cost) == (AttemptStatus.CLOSED, 0)


async def test_a_run_that_died_is_charged_though_the_next_run_is_rejected() -> None:
    scene = Scene()
    task = await scene.task()
    await scene.open(task)
    scene.clock.advance(100)
    await scene.reject(task, await scene.open(task))
    (closed,) = await scene.ledger.attempts(OWNER, task.response.id)
    assert closed.charge.cost is not None
    assert closed.charge.cost >= PRICE.amount * 100
    assert len(closed.charge.shares) == 1


async def test_a_run_that_died_stays_in_its_session_though_no_budget_covers_the_next_run() -> None:
    scene = Scene()
    task = await scene.task()
    opened = await scene.open(task)
    scene.ledger.budget_counters.configured = Budgets(limits={BudgetScope.TENANT_DAY: opened.record.charge.reserved})
    with pytest.raises(Exhausted):
        await scene.open(task)
    entry = await scene.sessions.entry_of(GPU, opened.record.id)
    assert entry
    await scene.billing.close_from_log(task, opened.record, (), price=PRICE)
    (closed,) = await scene.ledger.attempts(OWNER, task.response.id)
    assert len(closed.charge.shares) == 1


async def test_a_run_that_no_budget_covers_leaves_the_session_where_no_earlier_run_was_covered() -> None:
    scene = Scene()
    task = await scene.task()
    scene.ledger.budget_counters.configured = Budgets(limits={BudgetScope.TENANT_DAY: Decimal("0.001")})
    await scene.sessions.enter(GPU, OWNER, task.record(at=scene.clock.now()), limit_s=60)
    with pytest.raises(Exhausted):
        await scene.open(task)
    assert (await scene.sessions.current(GPU)).session is None

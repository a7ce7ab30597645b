"""Does a run that dies on a machine that is paid by its time still pay, however its successor ends?"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from activities.inference.attempt_billing import AttemptBilling, OpenedAttempt
from activities.inference.attempt_meter import AttemptMeter
from activities.inference.task import AttemptTask
from domain.errors import Exhausted
from domain.fleet.catalog import ColdStart
from domain.fleet.failure_classes import FailureClass
from domain.log.events import AttemptOutcome
from domain.money.budgets import Budgets, BudgetScope
from domain.money.ledger_records import AttemptStatus
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from tests.domain.fleets import GPU as PRICE
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend

COLD = ColdStart(scales_to_zero=True, p50_s=10, p99_s=30, idle_s=PRICE.idle_s)
GPU = replace(backend("gpu"), price=PRICE.name, cold_start=COLD)


@dataclass(slots=True, kw_only=True)
class Desk:
    """One attempt, at a machine that may sleep, whose runs die one after the other."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: MemoryStore = field(init=False)
    ledger: Ledger = field(init=False)
    sessions: GpuSessions = field(init=False)
    charging: AttemptBilling = field(init=False)

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)
        self.ledger = Ledger(self.store, self.clock)
        self.sessions = GpuSessions(store=self.store, ledger=self.ledger, prices={PRICE.name: PRICE}, clock=self.clock)
        self.charging = AttemptBilling(self.ledger, self.sessions)

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
            cold=True,
        )

    async def open(self, task: AttemptTask) -> OpenedAttempt:
        return await self.charging.open(task, at=self.clock.now())

    async def refuse(self, task: AttemptTask, opened: OpenedAttempt) -> None:
        meter = AttemptMeter(self.clock, price=PRICE, record=opened.record)
        meter.sent = True
        outcome = AttemptOutcome(attempt=1, result="elsewhere", posture=FailureClass.BROKEN)
        await self.charging.close(task, opened, meter, outcome)


async def test_a_run_that_is_refused_at_the_door_pays_nothing() -> None:
    desk = Desk()
    task = await desk.task()
    await desk.refuse(task, await desk.open(task))
    (closed,) = await desk.ledger.attempts(OWNER, task.response.id)
    assert (closed.status, closed.cost) == (AttemptStatus.CLOSED, 0)


async def test_a_run_that_died_in_the_machine_is_paid_though_the_next_is_refused_at_the_door() -> None:
    desk = Desk()
    task = await desk.task()
    await desk.open(task)
    desk.clock.advance(100)
    await desk.refuse(task, await desk.open(task))
    (closed,) = await desk.ledger.attempts(OWNER, task.response.id)
    assert closed.cost is not None
    assert closed.cost >= PRICE.amount * 100
    assert len(closed.shares) == 1


async def test_a_run_that_died_in_the_machine_stays_in_its_session_though_the_next_has_no_cover() -> None:
    desk = Desk()
    task = await desk.task()
    opened = await desk.open(task)
    desk.ledger.book.budgets = Budgets(limits={BudgetScope.TENANT_DAY: opened.record.reserved})
    with pytest.raises(Exhausted):
        await desk.open(task)
    entry = await desk.sessions.entry_of(GPU, opened.record.id)
    assert entry
    await desk.charging.close_from_log(task, opened.record, (), price=PRICE)
    (closed,) = await desk.ledger.attempts(OWNER, task.response.id)
    assert len(closed.shares) == 1


async def test_a_run_without_cover_takes_no_part_where_none_had_its_cover_before() -> None:
    desk = Desk()
    task = await desk.task()
    desk.ledger.book.budgets = Budgets(limits={BudgetScope.TENANT_DAY: Decimal("0.001")})
    await desk.sessions.enter(GPU, OWNER, task.record(at=desk.clock.now()), limit_s=60)
    with pytest.raises(Exhausted):
        await desk.open(task)
    assert (await desk.sessions.current(GPU)).session is None

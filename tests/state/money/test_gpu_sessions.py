"""Is every instant of a GPU session paid once, whichever write the process crashes at and whichever run leaves late?"""

from collections.abc import Awaitable, Callable
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count, product
from random import Random
from threading import get_ident

import pytest

from activities.maintenance.sweep import GpuSessionCloser
from clients.storage.port import DocumentStore
from domain.errors import Exhausted, Retryable
from domain.fleet.catalog import ColdStart, Fleet, Model
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import HELD, TAKEN, Budgets, BudgetScope
from domain.money.ledger_records import AttemptRecord, nanos
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan, session_cost
from domain.money.sessions.transitions import SessionEntry
from state.money.gpu_session_billing import MANY, GpuSessionBilling, computed
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger, money_key
from tests.checks import every
from tests.domain.fleets import GPU as PRICE
from tests.fakes.clocks import START, FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import backend

COLD = ColdStart(scales_to_zero=True, p50_s=10, p99_s=30, idle_s=PRICE.idle_s)
GPU = replace(backend("gpu"), price=PRICE, cold_start=COLD)
ANNE, BEN = (Owner(tenant=name, subject="user:1") for name in ("anne", "ben"))
CALLS = 110
"""More than the whole story makes."""


@dataclass(slots=True, kw_only=True)
class House:
    """What is left when a process dies: the store, the clock and which answers stand in a log."""

    clock: FakeClock = field(default_factory=FakeClock)
    budgets: Budgets = field(default_factory=Budgets)
    store: MemoryStore = field(init=False)
    answered: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        self.store = MemoryStore(self.clock)

    def process(self, store: DocumentStore | None = None) -> "Process":
        ledger = Ledger(store or self.store, self.clock, self.budgets)
        return Process(house=self, store=store or self.store, ledger=ledger)


@dataclass(slots=True, kw_only=True)
class Process:
    house: House
    store: DocumentStore
    ledger: Ledger

    @property
    def sessions(self) -> GpuSessions:
        return GpuSessions(store=self.store, ledger=self.ledger, clock=self.house.clock)

    @property
    def bills(self) -> GpuSessionBilling:
        model = Model(name="model", context_tokens=4096, tier=1)
        fleet = Fleet(models={"model": model}, backends={"gpu": GPU})
        return GpuSessionBilling(
            store=self.store, ledger=self.ledger, fleet=fleet, prices={PRICE.name: PRICE}, clock=self.house.clock
        )

    async def warm_up(self, owner: Owner, at: float) -> bool:
        self.house.clock.set(START + at)
        return await self.sessions.warm_up(GPU, owner, "resp_wake", cold_s=10, worst_s=30)

    async def ready(self, at: float) -> None:
        self.house.clock.set(START + at)
        await self.sessions.record_ready(GPU, START + at)

    async def enter(self, record: AttemptRecord, owner: Owner) -> SessionEntry:
        entry = await self.sessions.enter(GPU, owner, record, limit_s=60)
        assert entry
        await self.ledger.open_attempt(owner, replace(record, charge=replace(record.charge, reserved=entry.worst)))
        return entry

    async def attempt(self, name: str, owner: Owner, began: float, ended: float) -> None:
        """Run an attempt as its activity does: once its answer stands in the log, a redelivery only closes it."""
        record = attempt_of(name, owner, began)
        if name in self.house.answered:
            entry = await self.sessions.entry_of(GPU, record.id)
            known = await self.ledger.attempts(owner, name)
            if known[0].charge.status is AttemptStatus.OPEN and entry:
                await self.close(owner, known[0], entry, ended)
            return
        self.house.clock.set(START + began)
        entry = await self.enter(record, owner)
        self.house.clock.set(START + ended)
        self.house.answered.add(name)
        opened = await self.ledger.attempts(owner, name)
        await self.close(owner, opened[0], entry, ended)

    async def close(self, owner: Owner, record: AttemptRecord, entry: SessionEntry, ended: float) -> None:
        shares = await self.sessions.leave(GPU, entry, ended=START + ended)
        closed = replace(
            record,
            charge=replace(record.charge, status=AttemptStatus.CLOSED, cost=Decimal(1), shares=shares),
            progress=replace(record.progress, ended_at=START + ended),
        )
        await self.ledger.close_attempt(owner, closed)

    async def sweep(self, at: float) -> None:
        self.house.clock.set(START + at)
        await GpuSessionCloser(self.bills).close_sessions()

    async def left(self) -> int:
        return len(await self.bills.finished_sessions()) + len(await self.bills.unposted_sessions())

    async def records(self, owner: Owner) -> list[AttemptRecord]:
        found = await self.store.list(money_key(owner.tenant), prefix="attempt_")
        return [AttemptRecord.from_document(each.body) for each in found]

    async def paid(self) -> int:
        """Return what all have paid in the end, in nano-dollars; the counters and the records agree on it."""
        whole = 0
        for owner in (ANNE, BEN):
            records = await self.records(owner)
            assert {each.charge.status for each in records} <= {AttemptStatus.CLOSED}
            costs = sum(nanos(each.charge.cost or Decimal(0)) for each in records)
            counters = await self.store.list(money_key(owner.tenant), prefix="budget_")
            assert {(each.body[TAKEN], each.body[HELD]) for each in counters} <= {(costs, 0)}
            whole += costs
        return whole

    async def owed(self) -> int:
        return sum(session_cost(session, PRICE) for session in await self.bills.closed_sessions(GPU))


def attempt_of(name: str, owner: Owner, began: float) -> AttemptRecord:
    return AttemptRecord(
        response=name,
        subject=owner.subject,
        number=1,
        backend="gpu",
        price=PRICE.name,
        started_at=START + began,
        charge=AttemptCharge(reserved=Decimal(0)),
    )


@pytest.fixture
async def process() -> Process:
    return House().process()


type Step = Callable[[Process], Awaitable[object]]

STORY: tuple[Step, ...] = (
    lambda one: one.warm_up(ANNE, 0.0),
    lambda one: one.ready(12.5),
    lambda one: one.attempt("resp_a", ANNE, 11.0, 30.0),
    lambda one: one.attempt("resp_b", BEN, 100.0, 140.25),
    lambda one: one.attempt("resp_c", ANNE, 900.0, 930.0),
    lambda one: one.sweep(2000.0),
    lambda one: one.sweep(2100.0),
)
EXPECTED_S = (140.3 + 600.0) + (30.0 + 600.0)
"""Two lives, in steps of 100 ms: the third attempt comes when the first life is over."""


async def told(house: House, at: int, fault: Fault) -> int:
    """Tell the story with one fault; the host repeats a step until it is done. Returns how many calls it took."""
    calls = count()
    store = FlakyStore(house.store, Random(0), Faults(at={at: fault}))  # noqa: S311 - no chance is in it
    for step in STORY:
        for _ in range(3):
            try:
                await step(house.process(store))
            except CrashError:
                store = house.store
            except Retryable:
                continue
            else:
                break
            next(calls)
    return len(store.calls) if isinstance(store, FlakyStore) else 0


def calls_and_faults() -> list[object]:
    """Every fault at every call: one in nine of them each time, all in the campaign."""
    numbered = enumerate(product(range(CALLS), Fault))
    return [pytest.param(*case, marks=[] if number % 9 == 0 else pytest.mark.campaign) for number, case in numbered]


@pytest.mark.parametrize(("at", "fault"), calls_and_faults())
async def test_a_fault_at_any_call_of_the_store_loses_no_money_and_counts_none_twice(at: int, fault: Fault) -> None:
    house = House()
    await told(house, at, fault)
    process = house.process()
    for number in range(3):
        await process.sweep(3000.0 + number)
    assert await process.left() == 0
    assert await process.paid() == await process.owed() == nanos(PRICE.amount * Decimal(str(EXPECTED_S)))


async def test_the_story_has_fewer_calls_than_faults_are_placed() -> None:
    assert 0 < await told(House(), CALLS * 10, Fault.UNAVAILABLE) < CALLS


async def test_backends_without_sessions_have_none(process: Process) -> None:
    always = replace(GPU, cold_start=ColdStart())
    assert await process.sessions.enter(always, ANNE, attempt_of("resp_a", ANNE, 0), limit_s=1) is None
    assert await process.sessions.warm_up(always, ANNE, "resp_a", cold_s=1, worst_s=1)
    assert [(each.is_warm_up, each.charge.cost) for each in await process.records(ANNE)] == [(True, 0)]


async def test_a_warm_up_is_charged_start_and_idle_period_until_a_request_shares_them(process: Process) -> None:
    assert await process.warm_up(ANNE, 0.0)
    (warm_up,) = await process.records(ANNE)
    assert (warm_up.charge.status, warm_up.number) == (AttemptStatus.PROVISIONAL, 0)
    assert warm_up.charge.cost == PRICE.amount * Decimal("630.1")
    await process.ready(10.0)
    await process.attempt("resp_b", BEN, 10.0, 20.0)
    await process.sweep(5000.0)
    (warm_up,), (used,) = await process.records(ANNE), await process.records(BEN)
    assert warm_up.charge.lines == {"gpu": 0, "cold": PRICE.amount * 10, "tail": PRICE.amount * 295}
    assert used.charge.lines == {"gpu": PRICE.amount * 10, "cold": 0, "tail": PRICE.amount * 305}


async def test_a_warm_up_that_no_budget_covers_begins_no_session() -> None:
    process = House(budgets=Budgets(limits={BudgetScope.TENANT_DAY: Decimal("0.01")})).process()
    assert not await process.warm_up(ANNE, 0.0)
    assert await process.records(ANNE) == []
    await process.sweep(5000.0)
    assert await process.bills.closed_sessions(GPU) == []


async def test_a_machine_that_stopped_early_is_paid_as_if_it_had_stayed(process: Process) -> None:
    await process.attempt("resp_a", ANNE, 0.0, 20.0)
    assert await process.warm_up(BEN, 100.0)
    await process.ready(130.0)
    await process.sweep(5000.0)
    assert len(await process.bills.closed_sessions(GPU)) == 1
    assert await process.paid() == await process.owed() == nanos(PRICE.amount * (130 + 600))


async def test_a_repeated_warm_up_counts_once(process: Process) -> None:
    for _ in range(3):
        assert await process.warm_up(ANNE, 0.0)
    await process.sweep(5000.0)
    assert await process.paid() == await process.owed() == nanos(PRICE.amount * (10 + 600))


async def test_an_attempt_that_was_rejected_at_once_leaves_no_session(process: Process) -> None:
    entry = await process.enter(attempt_of("resp_a", ANNE, 0.0), ANNE)
    await process.sessions.give_up(GPU, entry)
    await process.sweep(5000.0)
    assert await process.bills.closed_sessions(GPU) == []


async def test_an_attempt_under_way_keeps_its_session_open_until_its_end_is_known(process: Process) -> None:
    await process.warm_up(BEN, 0.0)
    entry = await process.enter(attempt_of("resp_a", ANNE, 0.0), ANNE)
    await process.sweep(5000.0)
    assert await process.bills.closed_sessions(GPU) == []
    (record,) = await process.records(ANNE)
    await process.ledger.close_lost(ANNE, (record,))
    await process.sweep(5100.0)
    assert len(await process.bills.closed_sessions(GPU)) == 1
    assert await process.sessions.leave(GPU, entry, ended=START + 5200) == {}
    (lost,) = await process.records(ANNE)
    assert (lost.charge.status, lost.charge.cost) == (AttemptStatus.CLOSED, record.charge.reserved)


async def test_a_run_that_a_later_run_replaced_pays_nothing_of_the_session(process: Process) -> None:
    first = await process.enter(attempt_of("resp_a", ANNE, 0.0), ANNE)
    second = await process.enter(attempt_of("resp_a", ANNE, 0.0), ANNE)
    assert await process.sessions.leave(GPU, first, ended=START + 50) == {}
    shares = await process.sessions.leave(GPU, second, ended=START + 50)
    assert shares == await process.sessions.leave(GPU, second, ended=START + 70)
    assert len(shares) == 1


async def test_a_request_after_the_end_of_a_session_begins_another(process: Process) -> None:
    await process.attempt("resp_a", ANNE, 0.0, 20.0)
    await process.attempt("resp_b", BEN, 621.0, 640.0)
    await process.sweep(5000.0)
    closed: list[GpuSession] = [*await process.bills.closed_sessions(GPU)]
    assert [session.started - START for session in closed] == [0.0, 621.0]


async def test_a_run_is_never_charged_more_than_it_reserved() -> None:
    house = House()
    process = house.process()
    for number in range(30):
        await process.attempt(f"resp_{number}", ANNE if number % 3 else BEN, number * 47.0, number * 47.0 + 60)
    for owner in (ANNE, BEN):
        assert every(
            each.charge.cost is not None and each.charge.cost <= each.charge.reserved
            for each in await process.records(owner)
        )


async def test_a_review_lowers_provisional_charges_that_are_too_high(process: Process) -> None:
    for number in range(40):
        await process.attempt(f"resp_{number:02d}", ANNE, number * 50.0, number * 50.0 + 20)
    charged = [each.charge.cost or Decimal(0) for each in await process.records(ANNE)]
    await process.sweep(2000.0)
    assert await process.bills.closed_sessions(GPU) == []
    reviewed = [each.charge.cost or Decimal(0) for each in await process.records(ANNE)]
    assert {each.charge.status for each in await process.records(ANNE)} == {AttemptStatus.PROVISIONAL}
    assert every(later <= earlier for earlier, later in zip(charged, reviewed, strict=True))
    await process.sweep(5000.0)
    final = [each.charge.cost or Decimal(0) for each in await process.records(ANNE)]
    assert every(later <= earlier for earlier, later in zip(reviewed, final, strict=True))
    whole = PRICE.amount * (39 * 50 + 20 + 600)
    assert sum(final) == whole <= sum(reviewed) < sum(charged)
    assert sum(reviewed) < whole * 2


async def test_an_attempt_without_budget_takes_no_part(process: Process) -> None:
    house = House(budgets=Budgets(limits={BudgetScope.TENANT_DAY: Decimal("0.001")}))
    with pytest.raises(Exhausted):
        await house.process().enter(attempt_of("resp_a", ANNE, 0.0), ANNE)
    assert await process.records(ANNE) == []


async def test_a_session_closes_however_many_attempts_never_left_it(process: Process) -> None:
    for number in range(130):
        await process.sessions.enter(GPU, ANNE, attempt_of(f"resp_{number}", ANNE, 0.0), limit_s=60)
    await process.attempt("resp_b", BEN, 5.0, 20.0)
    for number in range(3):
        await process.sweep(5000.0 + number)
    assert await process.left() == 0
    assert await process.paid() == await process.owed() == nanos(PRICE.amount * 620)


async def test_a_review_writes_no_unchanged_record(process: Process) -> None:
    for number in range(20):
        await process.attempt(f"resp_{number:02d}", ANNE, number * 100.0, number * 100.0 + 20)
    await process.sweep(2000.0)
    before = await process.store.list(money_key(ANNE.tenant), prefix="attempt_")
    await process.sweep(2010.0)
    after = await process.store.list(money_key(ANNE.tenant), prefix="attempt_")
    assert await process.bills.closed_sessions(GPU) == []
    assert [each.etag for each in before] == [each.etag for each in after]


async def test_a_lost_attempt_pays_its_whole_reservation_although_an_earlier_run_left(process: Process) -> None:
    first = await process.enter(attempt_of("resp_a", ANNE, 0.0), ANNE)
    (opened,) = await process.records(ANNE)
    process.house.clock.set(START + 20)
    await process.close(ANNE, opened, first, 20.0)
    await process.enter(attempt_of("resp_a", ANNE, 0.0), ANNE)
    (again,) = await process.records(ANNE)
    await process.ledger.close_lost(ANNE, (again,))
    await process.sweep(5000.0)
    await process.sweep(5001.0)
    (lost,) = await process.records(ANNE)
    assert (lost.charge.status, lost.charge.cost) == (AttemptStatus.CLOSED, again.charge.reserved)
    assert await process.paid() == nanos(again.charge.reserved)
    assert await process.left() == 0


async def test_shares_of_many_members_are_computed_in_a_thread() -> None:
    few, many = [SessionSpan(record="a", tenant="t", subject="s", response="r", began=0.0)], MANY + 1
    assert await computed(few, get_ident) == get_ident()
    assert await computed(few * many, get_ident) != get_ident()

"""Is no budget exceeded on any store, also with parallel attempts and crashes?"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from copy import replace
from decimal import Decimal
from random import Random

import pytest

from clients.storage.port import Container, Document, DocumentKey, DocumentStore, FoundDocument, Operation
from domain.errors import Exhausted, Retryable
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import HELD, TAKEN, Budgets, BudgetScope
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptRecord, nanos
from domain.money.usage import COST
from state.money.budget_counters import BudgetCounters, Cover
from state.money.ledger import Ledger, money_key
from state.money.usage_rows import UsageRows
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Fault, Faults, FlakyStore

pytestmark = pytest.mark.slow

TENANT = "tenant"
NEARLY_USED = "Your budget for the month is nearly used up."
WORST = Decimal("0.01")
WANTED = {"memory": 1000, "sqlite": 1000, "cosmos": 60}
"""How many want of a budget for three tenths of them; the local Cosmos DB shares this machine."""

PROCESSES = 20
FAR = 1e12

type Judge = Callable[[DocumentStore, FakeClock, int], Awaitable[None]]
ALL_FAULTS = tuple(Fault)


class Watched:
    """A store that looks at the counters after every commit."""

    def __init__(self, store: DocumentStore, limit: Decimal) -> None:
        self.store = store
        self.limit = nanos(limit)
        self.seen = 0

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        return await self.store.read(key, identifier)

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        return await self.store.list(key, prefix=prefix, after=after, limit=limit)

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        etags = await self.store.commit(key, operations)
        found = await self.store.read(key, "budget_tenant_2027-01-15")
        if found:
            self.seen += 1
            assert 0 <= found.body[HELD] <= found.body[TAKEN] <= self.limit
        return etags

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        return await self.store.find(container, kind=kind, status=status, before=before, limit=limit)

    async def close(self) -> None:
        await self.store.close()


@pytest.fixture
def wanted(request: pytest.FixtureRequest) -> int:
    return WANTED[request.node.callspec.params["make_store"]]


def owner_of(number: int) -> Owner:
    return Owner(tenant=TENANT, subject=f"user:{number % 7}")


def attempt_of(number: int, at: float) -> AttemptRecord:
    return AttemptRecord(
        response=f"resp_{number}",
        subject=owner_of(number).subject,
        number=1,
        backend="main",
        price="tokens",
        started_at=at,
        charge=AttemptCharge(reserved=WORST),
    )


def costs(number: int) -> Decimal:
    return WORST * (number % 10) / 10


async def turn(ledger: Ledger, number: int, clock: FakeClock) -> bool:
    """Spend as a turn does, each step repeated as the host repeats it; False where no budget covered it."""
    owner, record = owner_of(number), attempt_of(number, clock.now())
    for _ in range(9):
        try:
            await ledger.reserve(owner, record.response, WORST)
            opened = await ledger.open_attempt(owner, record)
            closed = replace(
                opened,
                charge=replace(opened.charge, status=AttemptStatus.CLOSED, cost=costs(number)),
                progress=replace(opened.progress, ended_at=clock.now()),
            )
            await ledger.close_attempt(owner, closed)
            await ledger.settle(owner, record.response)
        except Retryable:
            continue
        except Exhausted:
            return False
        return True
    return False


async def swept(ledger: Ledger) -> None:
    """Settle and close what is left, as the sweeper does, until nothing is."""
    while found := await ledger.open_reservations(before=FAR):
        for owner, held in found:
            await ledger.settle(owner, held.response)
    while found := await ledger.open_attempts(before=FAR):
        for owner, attempt in found:
            await ledger.close_lost(owner, (attempt,))


async def counters(store: DocumentStore) -> Mapping[str, Document]:
    return {each.id: each for each in await store.list(money_key(TENANT), prefix="budget_")}


async def spent(store: DocumentStore) -> Decimal:
    found = await store.list(money_key(TENANT), prefix="attempt_", limit=5000)
    return sum((AttemptRecord.from_document(each.body).charge.cost or Decimal(0) for each in found), Decimal(0))


async def test_a_budget_for_three_tenths_covers_exactly_three_tenths(
    store: DocumentStore, clock: FakeClock, wanted: int
) -> None:
    await assert_exactly_three_tenths_are_covered(store, clock, wanted)


async def assert_exactly_three_tenths_are_covered(store: DocumentStore, clock: FakeClock, wanted: int) -> None:
    limit = WORST * wanted * 3 / 10
    watched = Watched(store, limit)
    ledger = Ledger(watched, clock, Budgets(limits={BudgetScope.TENANT_DAY: limit}))

    async def one(number: int) -> bool:
        try:
            await ledger.open_attempt(owner_of(number), attempt_of(number, clock.now()))
        except Exhausted:
            return False
        return True

    covered = await asyncio.gather(*(one(number) for number in range(wanted)))
    assert sum(covered) == wanted * 3 // 10
    assert watched.seen >= sum(covered)
    day = (await counters(store))["budget_tenant_2027-01-15"]
    assert (day.body[TAKEN], day.body[HELD]) == (nanos(limit), nanos(limit))


def processes(store: DocumentStore, wanted: int, clock: FakeClock, budgets: Budgets) -> Iterator[tuple[Ledger, range]]:
    """Give each process its turns; most die early, and lose answers before."""
    for process in range(PROCESSES):
        faults = Faults(rate=0.02, pause=2, kinds=ALL_FAULTS)
        flaky = FlakyStore(store, Random(process), faults)  # noqa: S311 - a test's seed
        yield Ledger(flaky, clock, budgets), range(process, wanted, PROCESSES)


async def test_crashes_exceed_no_budget_and_leave_no_reservation_after_the_sweeps(
    store: DocumentStore, clock: FakeClock, wanted: int
) -> None:
    await assert_no_budget_is_exceeded(store, clock, wanted)


async def assert_no_budget_is_exceeded(store: DocumentStore, clock: FakeClock, wanted: int) -> None:
    limit = WORST * wanted * 3 / 10
    budgets = Budgets(limits={BudgetScope.TENANT_DAY: limit, BudgetScope.RESPONSE: WORST * 5})
    watched = Watched(store, limit)
    tasks = [
        turn(ledger, number, clock)
        for ledger, numbers in processes(watched, wanted, clock, budgets)
        for number in numbers
    ]
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [end for end in ends if isinstance(end, AssertionError)]
    assert any(isinstance(end, BaseException) for end in ends)
    await swept(Ledger(watched, clock, budgets))
    found = await counters(store)
    assert {each.body[HELD] for each in found.values()} == {0}
    total = nanos(await spent(store))
    day, month = found["budget_tenant_2027-01-15"], found["budget_tenant_2027-01"]
    assert day.body[TAKEN] == month.body[TAKEN] == total <= nanos(limit)
    rows = await UsageRows(store).of_tenant(TENANT, first="2027-01-15", last="2027-01-15")
    assert sum(row.counts[COST] for row in rows) == total
    days = [
        each.body[TAKEN] for name, each in found.items() if name.startswith("budget_owner") and name.count("-") == 2
    ]
    assert sum(days) == total


THE_CROWD = 1000


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("make_store", ["cosmos"], indirect=True)
@pytest.mark.parametrize("judge", [assert_exactly_three_tenths_are_covered, assert_no_budget_is_exceeded])
async def test_a_thousand_attempts_on_cosmos_exceed_no_budget(
    store: DocumentStore, clock: FakeClock, judge: Judge
) -> None:
    await judge(store, clock, THE_CROWD)


async def test_a_check_reserves_nothing_and_warns_before_it_rejects(store: DocumentStore, clock: FakeClock) -> None:
    book = BudgetCounters(store, clock, Budgets(limits={BudgetScope.OWNER_MONTH: Decimal(1)}))
    ledger = Ledger(store, clock, book.configured)
    owner = owner_of(0)
    assert await book.check(owner, "resp_0", Decimal("0.8")) == Cover("", Decimal(1))
    dear = replace(attempt_of(0, clock.now()), charge=AttemptCharge(reserved=Decimal("0.8")))
    await ledger.open_attempt(owner, dear)
    assert await book.check(owner, "resp_7", Decimal("0.2")) == Cover(NEARLY_USED, Decimal(1))
    assert await book.check(owner, "resp_7", Decimal("0.3")), "what is only held may come back"
    await ledger.close_attempt(owner, replace(dear, charge=dear.charge.closed(Decimal("0.8"), line=BillLine.TOKENS)))
    with pytest.raises(Exhausted, match=r"\$0\.200000001 may be needed, \$0\.20 of \$1\.00 is left"):
        await book.check(owner, "resp_7", Decimal("0.2") + Decimal("1e-9"))
    covered = await book.check(owner, "resp_7", Decimal("0.5"), needed=Decimal("0.2"))
    assert covered == Cover(NEARLY_USED, Decimal("0.2")), "one backend may cost less than the others"
    assert (await book.check(owner_of(1), "resp_1", Decimal("0.8"))).warning == ""

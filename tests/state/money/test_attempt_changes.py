"""Do the books have what a replaced run used, when its stopped worker wakes and reports it?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import HELD, TAKEN, Budgets
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptProgress, AttemptRecord, nanos
from state.money.attempt_changes import lost_attempt
from state.money.ledger import Ledger, money_key
from tests.domain.logs import through_json
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

RESPONSE = "resp_" + "a" * 48
WORST, COST, LATE = Decimal("0.01"), Decimal("0.002"), Decimal("0.0005")


class Scene:
    """One attempt of two runs; the first one's worker was stopped."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.ledger = Ledger(self.store, self.clock, Budgets())

    def new(self) -> AttemptRecord:
        return AttemptRecord(
            response=RESPONSE,
            subject=OWNER.subject,
            number=1,
            backend="main",
            price="tokens",
            started_at=self.clock.now(),
            charge=AttemptCharge(reserved=WORST),
        )

    async def open(self) -> AttemptRecord:
        return await self.ledger.open_attempt(OWNER, self.new())

    async def close(self, record: AttemptRecord, *, late: Decimal = Decimal(0)) -> None:
        charge = record.charge.closed(COST, line=BillLine.TOKENS)
        progress = replace(record.progress, result="done")
        await self.ledger.close_attempt(OWNER, replace(record, charge=charge, progress=progress), late=late)

    async def stored(self) -> AttemptRecord:
        [found] = await self.ledger.attempts(OWNER, RESPONSE)
        return found

    async def counted(self) -> set[tuple[int, int]]:
        counters = await self.store.list(money_key(OWNER.tenant), prefix="budget_")
        return {(each.body[HELD], each.body[TAKEN]) for each in counters}


@pytest.mark.parametrize("wakes", ["before the last run ends", "after it"])
async def test_a_late_run_adds_what_it_used_once(wakes: str) -> None:
    scene = Scene()
    first, second = await scene.open(), await scene.open()
    if wakes == "after it":
        await scene.close(second)
    await scene.close(first, late=LATE)
    await scene.close(first, late=LATE)
    if wakes != "after it":
        assert (await scene.stored()).is_open
        await scene.close(second)
    charge = (await scene.stored()).charge
    assert (charge.status, charge.cost) == (AttemptStatus.CLOSED, COST + LATE)
    assert charge.lines == {BillLine.TOKENS: COST + LATE}
    assert charge.late == {"1": LATE}
    assert await scene.counted() == {(0, nanos(COST + LATE))}


async def test_a_replaced_run_that_has_nothing_to_add_changes_nothing() -> None:
    scene = Scene()
    first, second = await scene.open(), await scene.open()
    await scene.close(first)
    assert await scene.stored() == second
    await scene.close(second)
    assert (await scene.stored()).charge.cost == COST


async def test_a_lost_attempt_holds_the_worst_case_of_all_its_runs_already() -> None:
    scene = Scene()
    first, second = await scene.open(), await scene.open()
    await scene.close(first, late=LATE)
    await scene.ledger.close_attempt(OWNER, lost_attempt(second, at=scene.clock.now()))
    await scene.close(first, late=LATE)
    assert (await scene.stored()).charge.cost == 2 * WORST
    assert await scene.counted() == {(0, nanos(2 * WORST))}


async def test_each_replaced_run_adds_its_own() -> None:
    scene = Scene()
    runs = [await scene.open() for _ in range(3)]
    for run in runs[:2]:
        await scene.close(run, late=LATE)
    await scene.close(runs[2])
    stored = await scene.stored()
    assert (stored.charge.cost, stored.charge.late) == (COST + 2 * LATE, {"1": LATE, "2": LATE})
    assert AttemptRecord.from_document(through_json(stored.to_document())) == stored


def test_a_record_without_late_runs_is_stored_as_before() -> None:
    document = Scene().new().to_document()
    assert "late" not in document
    assert AttemptRecord.from_document(document).progress == AttemptProgress()

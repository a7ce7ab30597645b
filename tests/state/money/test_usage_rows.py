"""Do roll-ups have the sums of the rows, whatever fails while they are written, and are they used where they can be?"""

from collections.abc import Sequence
from copy import replace
from decimal import Decimal
from random import Random

import pytest

from clients.storage.keys import money_key
from clients.storage.port import Create
from domain.identity.owners import Owner
from domain.log.events import TokenUsage
from domain.money.budgets import Budgets
from domain.money.ledger_records import AttemptRecord
from domain.money.overheads import OverheadCost
from domain.money.usage import DIMENSIONS, UsageRow, grouped
from domain.money.usage_rollups import BY
from state.money.ledger import Ledger
from state.money.usage_rows import BEGUN, UsageRows
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER
from tests.state.money.test_ledger import HELD, LOST, attempt, closed, persistently

OTHER = Owner(tenant=OWNER.tenant, subject="user:other")
FIRST, LAST = "2027-01-15", "2027-01-17"
GROUPS = (("day",), ("hour",), ("model",), ("backend",), ("day", "model", "backend"), ())


async def spend(ledger: Ledger, clock: FakeClock) -> None:
    """Let two owners pay for turns on two backends in several hours of three days."""
    overhead = OverheadCost(store=Decimal("0.001"), functions=Decimal("0.0002"))
    for number in range(12):
        owner, response = (OWNER, OTHER)[number % 2], f"resp_{number}"
        opened = replace(
            attempt(),
            response=response,
            subject=owner.subject,
            backend=("main", "spare")[number % 3 == 0],
            conversation=f"conv_{number}",
            started_at=clock.now(),
        )
        kept: list[AttemptRecord] = []

        async def open_one(record: AttemptRecord = opened, of: Owner = owner, into: list[AttemptRecord] = kept) -> None:
            into.append(await ledger.open_attempt(of, record))

        await persistently(lambda of=owner, name=response: ledger.reserve(of, name, HELD))
        await persistently(open_one)
        ended = closed(kept[-1], f"0.00{number + 1}")
        ended = replace(ended, progress=replace(ended.progress, usage=TokenUsage(input_tokens=7, output_tokens=number)))
        await persistently(lambda of=owner, record=ended: ledger.close_attempt(of, record))
        await persistently(lambda of=owner, name=response: ledger.settle(of, name, overhead))
        clock.advance(5 * 3600)


def sums(rows: Sequence[UsageRow], by: Sequence[str]) -> list[tuple[object, object]]:
    """Return the groups of rows that count something."""
    return [(each.dimensions, each.counts) for each in grouped(rows, by) if any(each.counts.values())]


@pytest.mark.parametrize("seed", range(5))
async def test_roll_ups_have_the_sums_of_the_rows_though_answers_of_the_store_are_lost(
    store: MemoryStore, clock: FakeClock, seed: int
) -> None:
    flaky = FlakyStore(store, Random(seed), Faults(rate=0.3, kinds=LOST))  # noqa: S311 - a test's seed
    await spend(Ledger(flaky, clock, Budgets()), clock)
    usage = UsageRows(store)
    single = await usage.of_tenant(OWNER.tenant, first=FIRST, last=LAST)
    rolled = await usage.rolled_up(OWNER.tenant, first=FIRST, last=LAST)
    assert {name for row in rolled for name in row.dimensions} == {"day", "hour", "model", "backend"}
    assert sum(row.counts["attempts"] for row in rolled) == 12
    for by in GROUPS:
        assert sums(rolled, by) == sums(single, by)


async def test_owners_and_conversations_come_from_single_rows(store: MemoryStore, clock: FakeClock) -> None:
    await spend(Ledger(store, clock, Budgets()), clock)
    rows = await UsageRows(store).of_tenant(OWNER.tenant, first=FIRST, last=LAST, by=("owner",))
    assert {row.dimensions["owner"] for row in rows} == {OWNER.subject, OTHER.subject}


async def test_days_outside_are_left_out(store: MemoryStore, clock: FakeClock) -> None:
    await spend(Ledger(store, clock, Budgets()), clock)
    usage = UsageRows(store)
    rows = await usage.of_tenant(OWNER.tenant, first="2027-01-16", last="2027-01-16", by=("day",))
    rolled = await usage.rolled_up(OWNER.tenant, first="2027-01-16", last="2027-01-16")
    assert {row.dimensions["day"] for row in (*rows, *rolled)} == {"2027-01-16"}


async def test_roll_ups_are_read_from_the_day_on_from_which_they_are_whole(
    store: MemoryStore, clock: FakeClock
) -> None:
    await spend(Ledger(store, clock, Budgets()), clock)
    usage = UsageRows(store)
    whole = await usage.of_tenant(OWNER.tenant, first=LAST, last=LAST, by=BY)
    assert await usage.rolled_up_since(OWNER.tenant) == LAST
    assert whole == await usage.rolled_up(OWNER.tenant, first=LAST, last=LAST) != []


@pytest.mark.parametrize("is_new", [False, True])
async def test_rows_that_an_instance_of_the_earlier_release_writes_alone_are_counted(
    store: MemoryStore, clock: FakeClock, *, is_new: bool
) -> None:
    """It runs beside this release during an update, and a new tenant's first turns may reach either first."""
    ledger = Ledger(store, clock, Budgets())
    day = "2027-01-15" if is_new else "2027-01-14"
    old = UsageRow(dimensions=dict.fromkeys(DIMENSIONS, "") | {"day": day, "hour": f"{day}T10"})
    row = Create(id=old.id, body={**old.to_document(), "attempts": 4})
    steps = [spend(ledger, clock), store.commit(money_key(OWNER.tenant), (row,))]
    for step in steps if is_new else reversed(steps):
        await step
    rows = await UsageRows(store).of_tenant(OWNER.tenant, first=day, last=LAST, by=("day",))
    assert sum(row.counts["attempts"] for row in rows) == 16
    assert "owner" in rows[0].dimensions


async def test_a_tenant_without_roll_ups_is_read_row_by_row(store: MemoryStore) -> None:
    assert await UsageRows(store).of_tenant(OWNER.tenant, first=FIRST, last=LAST, by=("day",)) == []
    assert await store.read(money_key(OWNER.tenant), BEGUN) is None

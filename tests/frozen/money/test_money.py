"""Does this release read and write the documents of the ledger as the first release did?"""

from decimal import Decimal

import pytest

from clients.storage.port import Container, Create
from clients.storage.sqlite.store import SqliteStore
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import Budgets, BudgetScope, new_counter
from domain.money.ledger_records import AttemptRecord, Reservation
from domain.money.usage import UsageRow
from domain.money.usage_rollups import roll_up_change
from domain.turns.rate_limits import RateLimitUsage, RunningTurn, TokenBucket
from state.money.budget_counters import BudgetCounters
from state.money.economics_runs import EconomicsRuns
from state.money.ledger import Ledger
from state.money.limit_changes import ChangedLimits
from state.money.usage_rows import UsageRows
from state.rate_limits import DOCUMENT
from tests.fakes.clocks import FakeClock
from tests.frozen.documents import as_json, frozen, insert, stored
from tests.frozen.objects import ATTEMPT, CONVERSATION_ID, NOW, OWNER, RESERVATION, RESPONSE_ID

COUNTER = "budget_tenant_2027-01-15"
TAKEN = 4_200_000
ROW = UsageRow(
    dimensions={
        "day": "2027-01-15",
        "owner": OWNER.subject,
        "conversation": CONVERSATION_ID,
        "model": "small",
        "backend": "gpu-l4",
    },
    counts={
        "attempts": 1,
        "input": 100,
        "cached": 40,
        "output": 20,
        "cost": 4_200_000,
        "store": 123,
        "functions": 456,
    },
)
LIMITS = RateLimitUsage(
    tenant=TokenBucket(tokens=9.5, at=NOW),
    owners={OWNER.subject: TokenBucket(tokens=2.5, at=NOW - 1)},
    running={RESPONSE_ID: RunningTurn(subject=OWNER.subject, since=NOW - 2)},
)


def test_an_attempt_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.MONEY, "attempt")
    found = AttemptRecord.from_document(document.body)
    assert found == ATTEMPT
    assert (found.id, as_json(found.to_document())) == (document.id, document.body)


def test_a_reservation_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.MONEY, "reservation")
    found = Reservation.from_document(document.body)
    assert found == RESERVATION
    assert (found.id, as_json(found.to_document())) == (document.id, document.body)


def test_a_row_of_usage_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.MONEY, "usage")
    found = UsageRow.from_document(document.body)
    assert found == ROW
    assert (found.id, as_json(found.to_document())) == (document.id, document.body)


def test_the_use_of_rate_limits_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.MONEY, "limits")
    found = RateLimitUsage.from_document(document.body)
    assert found == LIMITS
    assert (DOCUMENT, as_json(found.to_document())) == (document.id, document.body)


async def test_the_ledger_finds_the_records_of_a_turn(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.MONEY, "attempt", "reservation")
    ledger = Ledger(store, clock, Budgets())
    assert await ledger.records(OWNER, RESPONSE_ID) == (ATTEMPT,)
    assert await ledger.reservation(OWNER, RESPONSE_ID) == RESERVATION


async def test_the_sweep_finds_records_that_are_open(store: SqliteStore, clock: FakeClock) -> None:
    for name in ("attempt", "reservation"):
        document = frozen(Container.MONEY, name)
        body = {**document.body, "status": "open"}
        await store.commit(document.key, (Create(id=document.id, body=body),))
    ledger = Ledger(store, clock, Budgets())
    assert [each.id for _, each in await ledger.open_attempts(before=NOW + 60)] == [ATTEMPT.id]
    assert [each.id for _, each in await ledger.open_reservations(before=NOW + 60)] == [RESERVATION.id]


async def test_rows_of_usage_are_found_by_their_days(store: SqliteStore) -> None:
    await insert(store, Container.MONEY, "usage")
    rows = UsageRows(store)
    assert await rows.of_owner(OWNER, first="2027-01-15", last="2027-01-15") == [ROW]
    assert await rows.of_tenant(OWNER.tenant, first="2027-01-15", last="2027-01-15") == [ROW]


async def test_a_roll_up_is_read_by_its_hours(store: SqliteStore) -> None:
    await insert(store, Container.MONEY, "rollup", "rollups")
    rows = await UsageRows(store).of_tenant(OWNER.tenant, first="2027-01-15", last="2027-01-15", by=("hour",))
    assert [(row.dimensions["hour"], row.counts["attempts"], row.counts["cost"]) for row in rows] == [
        ("2027-01-15T07", 1, 4200000),
        ("2027-01-15T13", 2, 700),
    ]
    assert [{name: nanos for name, nanos in row.causes.items() if nanos} for row in rows] == [
        {"tokens": 4200000},
        {"unused_warm_up": 700},
    ]


async def test_a_roll_up_is_added_to_as_it_was() -> None:
    document = frozen(Container.MONEY, "rollup")
    place = {"day": "2027-01-15", "hour": "2027-01-15T07", "model": "small", "backend": "gpu-l4"}
    counts = {"attempts": 1, "input": 100, "cached": 40, "output": 20, "cost": 4200000, "tokens": 4200000}
    change = roll_up_change(UsageRow(dimensions=place), counts)
    assert (change.id, change.amounts.items() <= document.body.items()) == (document.id, True)
    assert change.empty.items() <= document.body.items()


async def test_the_last_run_of_the_reporter_is_read_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.MONEY, "economics")
    found = await EconomicsRuns(store, clock).latest(OWNER.tenant)
    assert found is not None
    assert as_json(found.to_document()) == frozen(Container.MONEY, "economics").body


async def test_a_counter_of_a_budget_is_read_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.MONEY, "budget")
    budgets = BudgetCounters(store, clock, Budgets(limits={BudgetScope.TENANT_DAY: Decimal(10)}))
    counted = [(counter.id, taken) for counter, taken in await budgets.limited_counters(OWNER, RESPONSE_ID)]
    assert counted == [(COUNTER, TAKEN)]


def test_a_counter_of_a_budget_is_written_as_it_was() -> None:
    document = frozen(Container.MONEY, "budget")
    assert as_json(new_counter(NOW)) == {**document.body, "taken": 0, "held": 0}


@pytest.mark.parametrize(("forecast", "alarms"), [("0.0021", True), ("0.0022", False)])
async def test_what_a_counter_holds_is_not_spent(
    forecast: str, *, alarms: bool, store: SqliteStore, clock: FakeClock
) -> None:
    await insert(store, Container.MONEY, "budget")
    budgets = BudgetCounters(store, clock, Budgets(forecast=Decimal(forecast)))
    assert await budgets.day_to_report(OWNER.tenant) == (COUNTER if alarms else "")


async def test_an_alarm_that_was_raised_is_not_raised_again(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.MONEY, "budget", "alarm")
    budgets = BudgetCounters(store, clock, Budgets(forecast=Decimal("0.000001")))
    assert await budgets.day_to_report(OWNER.tenant) == ""


async def test_an_alarm_is_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await BudgetCounters(store, clock, Budgets()).record_report(OWNER.tenant, COUNTER)
    document = frozen(Container.MONEY, "alarm")
    assert await stored(store, document) == document.body


def test_an_attempt_that_is_open_has_the_stored_status_open() -> None:
    assert [status.value for status in AttemptStatus] == ["open", "provisional", "closed"]


async def test_changed_limits_are_read_and_written_as_they_were(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.MONEY, "limit_changes")
    changes = await ChangedLimits(store, clock).current(OWNER.tenant)
    assert changes.values == {"tenant_day": Decimal(20), "owner_day": None}
    assert as_json(changes.to_document()) == frozen(Container.MONEY, "limit_changes").body

"""Do counters stand for what attempts hold and cost, whatever becomes of them?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.budgets import (
    HELD,
    LEARNED_DAYS,
    TAKEN,
    Budgets,
    BudgetScope,
    counter_changes,
    counters_of,
    exceeded_budget,
    is_alarming,
    learned_forecast,
    nearly_used_budget,
    new_counter,
    spent,
    tenant_day_counter_id,
)
from domain.money.ledger_records import AttemptRecord, nanos, reopened

NEW_YEAR = 1_798_761_600.0
OPENED = AttemptRecord(
    response="resp_1",
    subject="user:1",
    number=1,
    backend="main",
    price="tokens",
    started_at=NEW_YEAR,
    charge=AttemptCharge(reserved=Decimal("0.01")),
)


def test_an_attempt_counts_for_its_tenant_and_owner_in_its_day_and_month_in_utc() -> None:
    names = set(counters_of(Budgets(), subject="user:1", response="resp_1", at=NEW_YEAR - 0.001))
    owner = {"budget_owner_user:1_2026-12", "budget_owner_user:1_2026-12-31"}
    assert names == {"budget_tenant_2026-12", "budget_tenant_2026-12-31"} | owner
    later = set(counters_of(Budgets(), subject="user:1", response="resp_1", at=NEW_YEAR))
    assert not names & later


def test_a_response_is_counted_by_itself_only_where_it_has_a_budget() -> None:
    budgets = Budgets(limits={BudgetScope.RESPONSE: Decimal("0.5")})
    counters = counters_of(budgets, subject="user:1", response="resp_1", at=NEW_YEAR)
    assert counters["budget_response_resp_1"].limit == 500_000_000
    assert {each.limit for each in counters.values() if each.scope is not BudgetScope.RESPONSE} == {None}


@pytest.mark.parametrize(
    ("taken", "refused", "warned"),
    [
        (0, None, None),
        (790_000_000, None, None),
        (790_000_001, None, BudgetScope.OWNER_DAY),
        (990_000_000, None, BudgetScope.OWNER_DAY),
        (990_000_001, BudgetScope.OWNER_DAY, BudgetScope.OWNER_DAY),
    ],
)
def test_a_budget_warns_at_its_share_and_rejects_beyond_its_limit(
    taken: int, refused: BudgetScope | None, warned: BudgetScope | None
) -> None:
    budgets = Budgets(limits={BudgetScope.OWNER_DAY: Decimal(1)})
    counters = counters_of(budgets, subject="user:1", response="resp_1", at=NEW_YEAR).values()
    there = {each.id: taken for each in counters}
    exceeded = exceeded_budget(counters, there, Decimal("0.01"))
    assert (exceeded.scope if exceeded else None) is refused
    assert nearly_used_budget(budgets, counters, there, Decimal("0.01")) is warned


def test_an_attempt_without_a_counter_yet_begins_at_nothing() -> None:
    counters = counters_of(
        Budgets(limits={BudgetScope.OWNER_DAY: Decimal("0.000000001")}), subject="user:1", response="r", at=NEW_YEAR
    ).values()
    assert exceeded_budget(counters, {}, Decimal("0.000000001")) is None
    exceeded = exceeded_budget(counters, {}, Decimal("0.000000002"))
    assert exceeded
    assert exceeded.scope is BudgetScope.OWNER_DAY


def test_a_new_counter_counts_from_nothing() -> None:
    expected = {"kind": "budget", "v": 1, "status": "counting", "at": 5.0, TAKEN: 0, HELD: 0}
    assert new_counter(5.0) == expected


def test_the_counter_of_a_tenants_day_is_named_by_its_day_in_utc() -> None:
    assert tenant_day_counter_id(Budgets(), NEW_YEAR - 0.001) == "budget_tenant_2026-12-31"
    assert tenant_day_counter_id(Budgets(), NEW_YEAR) == "budget_tenant_2027-01-01"


def test_what_is_reserved_is_not_spent_yet() -> None:
    assert spent({TAKEN: 10, HELD: 4}) == 6


@pytest.mark.parametrize(("taken", "alarming"), [(3_000_000_000, False), (3_000_000_001, True)])
def test_a_day_is_alarming_above_150_per_cent_of_its_forecast(taken: int, alarming: object) -> None:
    """Two dollars are forecast; half a dollar is reserved and not counted."""
    counter = {TAKEN: taken + 500_000_000, HELD: 500_000_000}
    assert is_alarming(Decimal(2), counter) is alarming


DOLLAR = 1_000_000_000


@pytest.mark.parametrize(
    ("days", "forecast"),
    [
        ([], None),
        ([9 * DOLLAR, 9 * DOLLAR], None),
        ([2 * DOLLAR, 4 * DOLLAR, 6 * DOLLAR], Decimal(4)),
        ([5 * DOLLAR] * 7, Decimal(5)),
        ([DOLLAR // 2] * 3, Decimal(1)),
        ([3 * DOLLAR // 2] * 3, Decimal("1.5")),
    ],
)
def test_a_forecast_is_the_mean_of_three_known_days_or_more_and_a_dollar_at_least(
    days: list[int], forecast: Decimal | None
) -> None:
    assert learned_forecast(days) == forecast


def test_a_forecast_is_learned_from_one_week() -> None:
    assert LEARNED_DAYS == 7


amounts = st.decimals(min_value=0, max_value=1000, places=9)


@given(st.lists(st.tuples(amounts, st.none() | amounts), min_size=1, max_size=6))
def test_what_a_counter_was_moved_by_is_what_the_record_stands_for_in_the_end(
    runs: list[tuple[Decimal, Decimal | None]],
) -> None:
    """Each run has its worst case and, where it did not die, what the attempt has cost by its end."""
    record: AttemptRecord | None = None
    taken = held = 0
    for worst, cost in runs:
        opened = reopened(record, worst) if record else replace(OPENED, charge=replace(OPENED.charge, reserved=worst))
        ends = (
            [opened]
            if cost is None
            else [opened, replace(opened, charge=replace(opened.charge, status=AttemptStatus.CLOSED, cost=cost))]
        )
        for after in ends:
            change = counter_changes(record, after)
            taken, held, record = taken + change[TAKEN], held + change[HELD], after
        assert 0 <= held <= taken
    assert record
    is_open = record.charge.status is AttemptStatus.OPEN
    assert held == (nanos(record.charge.reserved) if is_open else 0)
    assert taken == nanos(record.charge.reserved if is_open else record.charge.cost or Decimal(0))

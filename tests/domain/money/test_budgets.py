"""Do counters stand for what attempts hold and cost, whatever becomes of them?"""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.budgets import HELD, TAKEN, Budgets, BudgetScope, counters_of, moved, refusal, warning
from domain.money.ledger_records import AttemptRecord, AttemptStatus, nanos, opened_again

NEW_YEAR = 1_798_761_600.0
OPENED = AttemptRecord(
    response="resp_1",
    subject="user:1",
    number=1,
    backend="main",
    price="tokens",
    reserved=Decimal("0.01"),
    started_at=NEW_YEAR,
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
def test_a_budget_warns_at_its_share_and_refuses_past_its_end(
    taken: int, refused: BudgetScope | None, warned: BudgetScope | None
) -> None:
    budgets = Budgets(limits={BudgetScope.OWNER_DAY: Decimal(1)})
    counters = counters_of(budgets, subject="user:1", response="resp_1", at=NEW_YEAR).values()
    there = {each.id: taken for each in counters}
    assert refusal(counters, there, Decimal("0.01")) is refused
    assert warning(budgets, counters, there, Decimal("0.01")) is warned


amounts = st.decimals(min_value=0, max_value=1000, places=9)


@given(st.lists(st.tuples(amounts, st.none() | amounts), min_size=1, max_size=6))
def test_what_a_counter_was_moved_by_is_what_the_record_stands_for_in_the_end(
    runs: list[tuple[Decimal, Decimal | None]],
) -> None:
    """Each run has its worst case and, where it did not die, what the attempt has cost by its end."""
    record: AttemptRecord | None = None
    taken = held = 0
    for worst, cost in runs:
        opened = opened_again(record, worst) if record else replace(OPENED, reserved=worst)
        ends = [opened] if cost is None else [opened, replace(opened, status=AttemptStatus.CLOSED, cost=cost)]
        for after in ends:
            change = moved(record, after)
            taken, held, record = taken + change[TAKEN], held + change[HELD], after
        assert 0 <= held <= taken
    assert record
    is_open = record.status is AttemptStatus.OPEN
    assert held == (nanos(record.reserved) if is_open else 0)
    assert taken == nanos(record.reserved if is_open else record.cost or Decimal(0))

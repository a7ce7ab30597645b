"""Which budgets and rate limits are in force after an operator's changes?"""

from decimal import Decimal

import pytest

from domain.money.budgets import Budgets, BudgetScope
from domain.turns.limit_changes import NAMES, NO_CHANGES, LimitChanges, problem_of, values_of
from domain.turns.rate_limits import RateLimit, RateLimits

BUDGETS = Budgets(limits={BudgetScope.TENANT_DAY: Decimal(5), BudgetScope.RESPONSE: Decimal(1)}, forecast=Decimal(4))
RATES = RateLimits(
    owner=RateLimit(per_minute=600, burst=200, running=100), tenant=RateLimit(per_minute=3000, burst=600, running=400)
)


def changed(**values: Decimal | None) -> LimitChanges:
    return NO_CHANGES.changed(values, (), at=1.0, by="user:a")


def test_without_a_change_the_configured_limits_are_in_force() -> None:
    assert NO_CHANGES.budgets(BUDGETS) is BUDGETS
    assert NO_CHANGES.rates(RATES) is RATES


def test_a_changed_budget_replaces_its_own_value_alone() -> None:
    found = changed(tenant_day=Decimal(2), owner_day=Decimal(1)).budgets(BUDGETS)
    assert found.limits == {
        BudgetScope.TENANT_DAY: Decimal(2),
        BudgetScope.RESPONSE: Decimal(1),
        BudgetScope.OWNER_DAY: Decimal(1),
    }
    assert found.forecast == Decimal(4)


def test_a_budget_of_null_has_no_limit_and_a_forecast_of_null_is_learned() -> None:
    found = changed(tenant_day=None, forecast_day=None).budgets(BUDGETS)
    assert (set(found.limits), found.forecast) == ({BudgetScope.RESPONSE}, None)


def test_a_changed_rate_replaces_its_own_value_alone() -> None:
    found = changed(owner_running=Decimal(3), tenant_turns_per_minute=Decimal("1.5")).rates(RATES)
    assert found.owner == RateLimit(per_minute=600, burst=200, running=3)
    assert found.tenant == RateLimit(per_minute=1.5, burst=600, running=400)


def test_a_reset_value_is_as_configured_again() -> None:
    before = changed(tenant_day=Decimal(2), owner_running=Decimal(3))
    after = before.changed({}, ("tenant_day",), at=2.0, by="user:b")
    assert (after.budgets(BUDGETS).limits, after.values) == (BUDGETS.limits, {"owner_running": Decimal(3)})
    assert (after.at, after.by) == (2.0, "user:b")


def test_changes_are_stored_and_read_and_a_name_of_a_later_release_is_left_out() -> None:
    changes = changed(tenant_day=Decimal("2.50"), response=None)
    body = changes.to_document()
    assert LimitChanges.from_document(body) == changes
    assert LimitChanges.from_document({**body, "values": {**body["values"], "later": "1"}}) == changes


def test_every_name_has_a_value() -> None:
    assert set(values_of(BUDGETS, RATES)) == set(NAMES)
    assert values_of(BUDGETS, RATES)["tenant_running"] == Decimal(400)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("tenant_day", Decimal(5), None),
        ("tenant_day", None, None),
        ("owner_burst", None, "expected a number: only a budget may have no limit"),
        ("owner_burst", Decimal("1.5"), "expected a whole number"),
        ("tenant_day", Decimal(0), "expected a number from 0.000001 to 1000000"),
        ("tenant_turns_per_minute", Decimal("1e-400"), "expected a number from 0.000001 to 1000000"),
        ("tenant_day", Decimal("NaN"), "expected a number from 0.000001 to 1000000"),
        ("tenant_day", Decimal(1_000_001), "expected a number from 0.000001 to 1000000"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: Decimal | None, problem: str | None) -> None:
    assert problem_of(name, value) == problem


def test_an_unknown_name_gets_the_known_ones() -> None:
    problem = problem_of("tennant_day", Decimal(1))
    assert problem is not None
    assert "tenant_day" in problem

"""Is the file of single tenants' budgets read as its schema says, and is every mistake in it named?"""

from decimal import Decimal

import pytest

from domain.config.budgets_toml import budgets_from_toml
from domain.errors import ConfigurationError
from domain.money.budgets import Budgets, BudgetScope, is_alarming, learned_forecast

USUAL = Budgets(limits={BudgetScope.TENANT_DAY: Decimal(10), BudgetScope.RESPONSE: Decimal(1)}, forecast=Decimal(4))
FILE = """
[tenants.contoso]
response = "0.5"
owner_month = "7"
warn_share = "0.9"

[tenants.fabrikam]
forecast_day = "80"
"""


def test_what_a_tenant_leaves_out_is_as_for_all() -> None:
    budgets = budgets_from_toml(FILE, USUAL)
    contoso, fabrikam, other = (budgets.of(name) for name in ("contoso", "fabrikam", "other"))
    assert contoso.limits == {**USUAL.limits, BudgetScope.RESPONSE: Decimal("0.5"), BudgetScope.OWNER_MONTH: Decimal(7)}
    assert (contoso.warn_share, contoso.forecast) == (Decimal("0.9"), Decimal(4))
    assert (fabrikam.limits, fabrikam.forecast) == (USUAL.limits, Decimal(80))
    assert (other.limits, other.forecast) == (USUAL.limits, USUAL.forecast)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tenants.a]\nresponse = 1", 'tenants.a.response: expected an amount in quotes, such as "0.25", found 1'),
        ('[tenants.a]\nowner_week = "1"', "tenants.a.owner_week: expected one of the fields"),
        *(
            (f'[tenants.a]\nwarn_share = "{share}"', "tenants.a.warn_share: expected a share above 0 and at most 1")
            for share in ("1.01", "80", "0")
        ),
        ('[owners.a]\nresponse = "1"', "owners: expected one of the fields"),
    ],
)
def test_a_mistake_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        budgets_from_toml(text, USUAL)
    assert any(each.startswith(problem) for each in caught.value.problems)


@pytest.mark.parametrize(
    ("days", "expected"),
    [([], None), ([10**10, 10**10], None), ([2 * 10**9, 0, 7 * 10**9], Decimal(3)), ([1, 2, 3], Decimal(1))],
)
def test_a_forecast_is_learned_from_three_days_of_the_last_and_is_a_dollar_at_least(
    days: list[int], expected: Decimal | None
) -> None:
    assert learned_forecast(days) == expected


def test_what_is_held_does_not_alarm() -> None:
    assert not is_alarming(Decimal(2), {"taken": 5 * 10**9, "held": 2 * 10**9})
    assert is_alarming(Decimal(2), {"taken": 5 * 10**9, "held": 1_999_999_999})

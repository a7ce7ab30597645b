"""Does a rejected caller read how much is missing, and when to come back?"""

from datetime import UTC, datetime

import pytest

from domain.money.budgets import BudgetScope, BudgetShortfall, dollars_text, renews_at

DOLLAR = 1_000_000_000


def shortfall(scope: BudgetScope, at: datetime, taken: int = 0) -> BudgetShortfall:
    return BudgetShortfall(scope=scope, limit=2 * DOLLAR, needed=3 * DOLLAR, taken=taken, at=at.timestamp())


@pytest.mark.parametrize(
    ("scope", "renewal"),
    [
        (BudgetScope.OWNER_DAY, "It renews at 2027-01-01T00:00:00Z."),
        (BudgetScope.TENANT_DAY, "It renews at 2027-01-01T00:00:00Z."),
        (BudgetScope.OWNER_MONTH, "It renews at 2027-01-01T00:00:00Z."),
        (BudgetScope.RESPONSE, "Ask for fewer output tokens, or use a shorter input."),
    ],
)
def test_the_message_says_what_helps(scope: BudgetScope, renewal: str) -> None:
    message = shortfall(scope, datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), taken=DOLLAR // 2).message
    assert message == (
        f"{scope.value} has no room for this turn: $3.00 may be needed, $1.50 of $2.00 is left. {renewal}"
    )


def test_a_month_renews_on_its_first_day() -> None:
    message = shortfall(BudgetScope.TENANT_MONTH, datetime(2028, 2, 1, tzinfo=UTC)).message
    assert message.endswith("It renews at 2028-03-01T00:00:00Z.")


def test_an_overdrawn_budget_has_nothing_left() -> None:
    assert shortfall(BudgetScope.OWNER_DAY, datetime(2028, 2, 1, tzinfo=UTC), taken=5 * DOLLAR).left == 0


@pytest.mark.parametrize(
    ("nanos", "text"), [(0, "$0.00"), (1, "$0.000000001"), (120_000_000, "$0.12"), (1_234 * DOLLAR, "$1234.00")]
)
def test_amounts_are_shown_in_full(nanos: int, text: str) -> None:
    assert dollars_text(nanos) == text


@pytest.mark.parametrize(
    ("scope", "renewal"),
    [
        (BudgetScope.OWNER_DAY, datetime(2027, 1, 31, tzinfo=UTC)),
        (BudgetScope.TENANT_MONTH, datetime(2027, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_period_renews_at_midnight_to_the_microsecond(scope: BudgetScope, renewal: datetime) -> None:
    assert renews_at(scope, datetime(2027, 1, 30, 13, 14, 15, 161718, tzinfo=UTC).timestamp()) == renewal

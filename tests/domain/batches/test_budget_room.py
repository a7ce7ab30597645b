"""Can budgets cover a batch until it expires?"""

from decimal import Decimal

import pytest

from domain.batches.budget_room import exceeded_room, renewals
from domain.money.budgets import BudgetCounter, BudgetScope
from domain.money.ledger_records import nanos

DAY = 86_400.0


@pytest.mark.parametrize(
    ("scope", "until", "expected"),
    [
        (BudgetScope.OWNER_DAY, 3600.0, 0),
        (BudgetScope.OWNER_DAY, DAY, 1),
        (BudgetScope.TENANT_DAY, 7 * DAY, 7),
        (BudgetScope.TENANT_MONTH, 7 * DAY, 0),
        (BudgetScope.OWNER_MONTH, 40 * DAY, 1),
        (BudgetScope.RESPONSE, DAY, 0),
    ],
)
def test_a_budget_begins_again_at_midnight_and_with_the_month(scope: BudgetScope, until: float, expected: int) -> None:
    assert renewals(scope, at=0.0, until=until) == expected


def test_a_batch_has_the_room_of_all_days_of_its_window() -> None:
    counter = BudgetCounter(id="day", scope=BudgetScope.OWNER_DAY, limit=nanos(Decimal(1)))
    taken = {"taken": nanos(Decimal(1)), "held": 0}
    assert exceeded_room([(counter, taken)], Decimal("0.9"), at=0.0, until=DAY) == ""
    assert "$1.0000" in exceeded_room([(counter, taken)], Decimal("1.1"), at=0.0, until=DAY)


def test_only_limits_of_longer_than_a_response_and_what_was_taken_count() -> None:
    one = BudgetCounter(id="one", scope=BudgetScope.RESPONSE, limit=1)
    free = BudgetCounter(id="free", scope=BudgetScope.OWNER_DAY, limit=None)
    held = BudgetCounter(id="held", scope=BudgetScope.OWNER_DAY, limit=nanos(Decimal(1)))
    none = {"taken": 0, "held": 0}
    counts = [(one, none), (free, none), (held, {"taken": nanos(Decimal(1)), "held": nanos(Decimal(1))})]
    assert exceeded_room(counts, Decimal(1), at=0.0, until=3600.0) == ""
    found = exceeded_room(counts, Decimal("1.0001"), at=0.0, until=3600.0)
    assert found.startswith(f"{BudgetScope.OWNER_DAY.value} leaves $1.0000 until")

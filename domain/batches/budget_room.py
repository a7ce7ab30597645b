"""Can budgets ever cover a batch?

Budgets of a day and of a month begin again while a batch waits, so a batch may use several of them.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from domain.money.budgets import DAILY, MONTHLY, BudgetCounter, BudgetScope, spent
from domain.money.ledger_records import NANOS, nanos


def exceeded_room(
    counts: Iterable[tuple[BudgetCounter, Mapping[str, Any]]], amount: Decimal, *, at: float, until: float
) -> str:
    """Return why a batch of an amount (dollars) cannot be covered between two times; an empty text where it can.

    `counts` are the limited budgets with what is taken of them; what other turns only hold may come back.
    """
    for counter, taken in counts:
        if counter.scope is BudgetScope.RESPONSE or counter.limit is None:
            continue
        room = counter.limit - spent(taken) + counter.limit * renewals(counter.scope, at=at, until=until)
        if nanos(amount) > room:
            left = Decimal(max(room, 0)) / NANOS
            return (
                f"{counter.scope.value} leaves ${left:.4f} until the batch expires, but its lines may cost "
                f"${amount:.4f}. Split the batch, or lower 'max_output_tokens' of its lines."
            )
    return ""


def renewals(scope: BudgetScope, *, at: float, until: float) -> int:
    """Return how often a budget begins again between two times, in seconds since the epoch."""
    first, last = (datetime.fromtimestamp(each, tz=UTC) for each in (at, until))
    if scope in DAILY:
        return (last.date() - first.date()).days
    if scope in MONTHLY:
        return (last.year - first.year) * 12 + last.month - first.month
    return 0

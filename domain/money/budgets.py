"""How much may be spent, by whom, in which time, and what does an attempt take of it?

A counter is a document for one scope and period. `taken` is all that was spent or is held, in nano-dollars; no hold
takes it past the budget. `held` is the part that attempts hold which have not ended; what was spent is the rest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from domain.money.ledger_records import NANOS, AttemptRecord, AttemptStatus, nanos

TAKEN: Final = "taken"
HELD: Final = "held"
ALARM_SHARE: Final = Decimal("1.5")

LEARNED_DAYS: Final = 7
ENOUGH_DAYS: Final = 3
LEAST_LEARNED: Final = Decimal(1)
"""What a day costs is learned from the last week, of which three days must be known; below a dollar nothing alarms."""

NO_TENANTS: "Final[Mapping[str, Budgets]]" = MappingProxyType({})


class BudgetScope(StrEnum):
    """What a budget is for; its value in words for the caller."""

    RESPONSE = "The budget for one response"
    OWNER_DAY = "Your budget for the day"
    OWNER_MONTH = "Your budget for the month"
    TENANT_DAY = "Your organisation's budget for the day"
    TENANT_MONTH = "Your organisation's budget for the month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Dollars for each scope; one that is not there has no limit. Callers are warned at `warn_share` of a budget.

    `forecast` is what a tenant is expected to spend in a day; operators are alarmed at half as much again. `tenants`
    has the budgets of those that have others.
    """

    limits: Mapping[BudgetScope, Decimal] = field(default_factory=dict[BudgetScope, Decimal])
    warn_share: Decimal = Decimal("0.8")
    forecast: Decimal | None = None
    tenants: "Mapping[str, Budgets]" = NO_TENANTS

    def of(self, tenant: str) -> "Budgets":
        return self.tenants.get(tenant, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetCounter:
    """The document that counts for a scope; `limit` in nano-dollars, None: it counts and never refuses."""

    id: str
    scope: BudgetScope
    limit: int | None


def counters_of(budgets: Budgets, *, subject: str, response: str, at: float) -> Mapping[str, BudgetCounter]:
    """Return by their ids the counters that an attempt at this time (seconds since the epoch, UTC) counts in.

    A response is counted by itself only where it has a budget: its attempts tell what it cost.
    """
    day = datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d")
    month = day[:7]
    names = {
        BudgetScope.TENANT_MONTH: f"budget_tenant_{month}",
        BudgetScope.TENANT_DAY: f"budget_tenant_{day}",
        BudgetScope.OWNER_MONTH: f"budget_owner_{subject}_{month}",
        BudgetScope.OWNER_DAY: f"budget_owner_{subject}_{day}",
    }
    if BudgetScope.RESPONSE in budgets.limits:
        names[BudgetScope.RESPONSE] = f"budget_response_{response}"
    return {name: BudgetCounter(id=name, scope=scope, limit=limit_of(budgets, scope)) for scope, name in names.items()}


def tenant_day(budgets: Budgets, at: float) -> str:
    """Return the id of the counter of a tenant's day."""
    counters = counters_of(budgets, subject="", response="", at=at)
    return next(name for name, each in counters.items() if each.scope is BudgetScope.TENANT_DAY)


def is_alarming(forecast: Decimal, counter: Mapping[str, Any]) -> bool:
    """Tell whether a tenant has spent far more in a day than was forecast."""
    return spent(counter) > nanos(forecast * ALARM_SHARE)


def spent(counter: Mapping[str, Any]) -> int:
    """Return the nano-dollars that a counter has seen spent; what is held is not spent yet."""
    return counter[TAKEN] - counter[HELD]


def learned_forecast(days: Sequence[int]) -> Decimal | None:
    """Return what a tenant may be expected to spend in a day, by what the known ones of the last days have cost."""
    if len(days) < ENOUGH_DAYS:
        return None
    return max(LEAST_LEARNED, Decimal(sum(days)) / len(days) / NANOS)


def limit_of(budgets: Budgets, scope: BudgetScope) -> int | None:
    limit = budgets.limits.get(scope)
    return None if limit is None else nanos(limit)


def share(attempt: AttemptRecord | None) -> tuple[int, int]:
    """Return what an attempt's record stands for in a counter, taken and held: while it is open, its reservation."""
    if attempt is None:
        return 0, 0
    if attempt.status is AttemptStatus.OPEN:
        return nanos(attempt.reserved), nanos(attempt.reserved)
    return nanos(attempt.cost or Decimal(0)), 0


def moved(before: AttemptRecord | None, after: AttemptRecord) -> dict[str, int]:
    """Return by how much each field of a counter changes when an attempt's record does."""
    (taken_before, held_before), (taken, held) = share(before), share(after)
    return {TAKEN: taken - taken_before, HELD: held - held_before}


def refusal(counters: Iterable[BudgetCounter], taken: Mapping[str, int], amount: Decimal) -> BudgetScope | None:
    """Return the budget that has no room for an amount; `taken` by the counter's id."""
    return first_beyond(counters, taken, amount, share=Decimal(1))


def warning(
    budgets: Budgets, counters: Iterable[BudgetCounter], taken: Mapping[str, int], amount: Decimal
) -> BudgetScope | None:
    """Return the budget that is nearly used up once an amount is taken of it."""
    return first_beyond(counters, taken, amount, share=budgets.warn_share)


def first_beyond(
    counters: Iterable[BudgetCounter], taken: Mapping[str, int], amount: Decimal, *, share: Decimal
) -> BudgetScope | None:
    for each in counters:
        if each.limit is not None and taken.get(each.id, 0) + nanos(amount) > each.limit * share:
            return each.scope
    return None


def new_counter(at: float) -> dict[str, Any]:
    return {"kind": "budget", "v": 1, "status": "counting", "at": at, TAKEN: 0, HELD: 0}

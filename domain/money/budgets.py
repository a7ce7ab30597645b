"""How much may each scope spend in its period, what does an attempt use of that, and what does a turn lack?

A counter is a document for one scope and period. `taken` is the sum of what was spent and what is reserved, in
nano-dollars; no reservation takes it past the budget. `held` is the part that open attempts have reserved.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct, field

from domain.money.ledger_records import NANOS, AttemptRecord, nanos

TAKEN: Final = "taken"
HELD: Final = "held"
ALARM_SHARE: Final = Decimal("1.5")

LEARNED_DAYS: Final = 7
ENOUGH_DAYS: Final = 3
LEAST_LEARNED: Final = Decimal(1)
"""A day's spend is learned from the last week, once three of its days are known. No forecast is below one dollar."""

NO_TENANTS: "Mapping[str, Budgets]" = MappingProxyType({})
NO_ORIGINS: "Mapping[str, Mapping[BudgetScope, Decimal]]" = MappingProxyType({})


class BudgetScope(StrEnum):
    """What a budget limits. The value is the phrase that a caller reads."""

    RESPONSE = "The budget for one response"
    OWNER_DAY = "Your budget for the day"
    OWNER_MONTH = "Your budget for the month"
    TENANT_DAY = "Your organisation's budget for the day"
    TENANT_MONTH = "Your organisation's budget for the month"
    PIPELINE_DAY = "The pipeline's budget for the day"
    PIPELINE_MONTH = "The pipeline's budget for the month"


OWN_BUDGET: Final = BudgetScope.RESPONSE.name.lower()
"""The budget of one response, in `Exhausted.identifier`: a turn that costs more can never run."""


DAILY: Final = frozenset({BudgetScope.OWNER_DAY, BudgetScope.TENANT_DAY, BudgetScope.PIPELINE_DAY})
MONTHLY: Final = frozenset({BudgetScope.OWNER_MONTH, BudgetScope.TENANT_MONTH, BudgetScope.PIPELINE_MONTH})
OF_TENANTS: Final = tuple(each for each in BudgetScope if not each.name.startswith("PIPELINE_"))
"""The budgets that every tenant has; those of pipelines are in their file."""


class Budgets(Struct, frozen=True, kw_only=True):
    """Dollars for each scope; a scope that is absent has no limit. Callers are warned at `warn_share` of a budget.

    `forecast` is the expected spend of a tenant in a day, in dollars; operators get an alarm above 150 % of it.
    `tenants` maps a tenant to budgets of its own, `origins` what starts turns, such as a pipeline, to more budgets.
    """

    limits: Mapping[BudgetScope, Decimal] = field(default_factory=dict[BudgetScope, Decimal])
    warn_share: Decimal = Decimal("0.8")
    forecast: Decimal | None = None
    tenants: "Mapping[str, Budgets]" = NO_TENANTS
    origins: "Mapping[str, Mapping[BudgetScope, Decimal]]" = NO_ORIGINS

    def of(self, tenant: str) -> "Budgets":
        own = self.tenants.get(tenant)
        return replace(own, origins=self.origins) if own else self


class BudgetCounter(Struct, frozen=True, kw_only=True):
    """The counter of a scope. `limit` is in nano-dollars; without a limit the counter only counts."""

    id: str
    scope: BudgetScope
    limit: int | None


def counters_of(
    budgets: Budgets, *, subject: str, response: str, at: float, origin: str = ""
) -> Mapping[str, BudgetCounter]:
    """Return, by id, the counters of an attempt that begins at a time (seconds since the epoch; days are in UTC).

    A response or an origin has a counter only where it has a budget: otherwise the records give the cost.
    """
    day = datetime.fromtimestamp(at, tz=UTC).isoformat()[:10]
    month = day[:7]
    names = {
        BudgetScope.TENANT_MONTH: f"budget_tenant_{month}",
        BudgetScope.TENANT_DAY: f"budget_tenant_{day}",
        BudgetScope.OWNER_MONTH: f"budget_owner_{subject}_{month}",
        BudgetScope.OWNER_DAY: f"budget_owner_{subject}_{day}",
    }
    if BudgetScope.RESPONSE in budgets.limits:
        names[BudgetScope.RESPONSE] = f"budget_response_{response}"
    counters = [BudgetCounter(id=name, scope=scope, limit=limit_of(budgets, scope)) for scope, name in names.items()]
    for scope, limit in budgets.origins.get(origin, {}).items():
        period = day if scope in DAILY else month
        counters.append(BudgetCounter(id=f"budget_{origin}_{period}", scope=scope, limit=nanos(limit)))
    return {each.id: each for each in counters}


def tenant_day_counter_id(budgets: Budgets, at: float) -> str:
    """Return the id of the counter of a tenant's day, at a time in seconds since the epoch."""
    counters = counters_of(budgets, subject="", response="", at=at)
    return next(name for name, each in counters.items() if each.scope is BudgetScope.TENANT_DAY)


def is_alarming(forecast: Decimal, counter: Mapping[str, Any]) -> bool:
    """Tell whether a tenant's spend of a day is above 150 % of its forecast (dollars)."""
    return spent(counter) > nanos(forecast * ALARM_SHARE)


def spent(counter: Mapping[str, Any]) -> int:
    """Return the spent nano-dollars of a counter: what is reserved is not spent yet."""
    return counter[TAKEN] - counter[HELD]


def learned_forecast(days: Sequence[int]) -> Decimal | None:
    """Return the forecast of a day's spend in dollars, from the spend of past days in nano-dollars."""
    if len(days) < ENOUGH_DAYS:
        return None
    return max(LEAST_LEARNED, Decimal(sum(days)) / len(days) / NANOS)


def limit_of(budgets: Budgets, scope: BudgetScope) -> int | None:
    limit = budgets.limits.get(scope)
    return None if limit is None else nanos(limit)


def counted_amounts(attempt: AttemptRecord | None) -> tuple[int, int]:
    """Return an attempt's amounts in a counter, `taken` and `held`: its reservation while it is open, then its cost."""
    if attempt is None:
        return 0, 0
    if attempt.is_open:
        return nanos(attempt.charge.reserved), nanos(attempt.charge.reserved)
    return nanos(attempt.charge.cost or Decimal(0)), 0


def counter_changes(before: AttemptRecord | None, after: AttemptRecord) -> dict[str, int]:
    """Return the change of each field of a counter when an attempt's record changes."""
    (taken_before, held_before), (taken, held) = counted_amounts(before), counted_amounts(after)
    return {TAKEN: taken - taken_before, HELD: held - held_before}


def exceeded_budget(
    counters: Iterable[BudgetCounter], taken: Mapping[str, int], amount: Decimal
) -> BudgetCounter | None:
    """Return the first budget that an amount (dollars) would exceed; `taken` maps counter ids to nano-dollars."""
    return first_beyond(counters, taken, amount, share=Decimal(1))


def nearly_used_budget(
    budgets: Budgets, counters: Iterable[BudgetCounter], taken: Mapping[str, int], amount: Decimal
) -> BudgetScope | None:
    """Return the first budget whose warning share an amount (dollars) would exceed."""
    found = first_beyond(counters, taken, amount, share=budgets.warn_share)
    return found.scope if found else None


def first_beyond(
    counters: Iterable[BudgetCounter], taken: Mapping[str, int], amount: Decimal, *, share: Decimal
) -> BudgetCounter | None:
    for each in counters:
        if each.limit is not None and taken.get(each.id, 0) + nanos(amount) > each.limit * share:
            return each
    return None


def new_counter(at: float) -> dict[str, Any]:
    return {"kind": "budget", "v": 1, "status": "counting", "at": at, TAKEN: 0, HELD: 0}


class BudgetShortfall(Struct, frozen=True, kw_only=True):
    """A budget that cannot cover a turn at a time (seconds since the epoch). All amounts are nano-dollars."""

    scope: BudgetScope
    limit: int
    needed: int
    taken: int
    at: float

    @property
    def left(self) -> int:
        return max(0, self.limit - self.taken)

    @property
    def message(self) -> str:
        """Return what a caller reads: the amounts needed and left, and when the budget renews or what else helps."""
        needed, left, limit = (dollars_text(each) for each in (self.needed, self.left, self.limit))
        amounts = f"{needed} may be needed, {left} of {limit} is left"
        return f"{self.scope.value} has no room for this turn: {amounts}. {self.remedy()}"

    def remedy(self) -> str:
        renewal = renews_at(self.scope, self.at)
        if renewal is None:
            return "Ask for fewer output tokens, or use a shorter input."
        return f"It renews at {renewal.strftime('%Y-%m-%dT%H:%M:%SZ')}."


def renews_at(scope: BudgetScope, at: float) -> datetime | None:
    """Return the start (UTC) of the period after a time; None for a budget that no period renews."""
    now = datetime.fromtimestamp(at, tz=UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if scope in DAILY:
        return midnight + timedelta(days=1)
    if scope in MONTHLY:
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return None


def dollars_text(nanos: int) -> str:
    """Return nano-dollars as dollars, with at least two decimals and none that say nothing."""
    digits = f"{Decimal(nanos) / NANOS:.9f}".rstrip("0")
    whole, _, decimals = digits.partition(".")
    return f"${whole}.{decimals:0<2}"

"""What has an operator changed of a tenant's budgets and rate limits while the app runs?"""

from collections.abc import Iterable, Mapping
from copy import replace
from decimal import Decimal
from typing import Any, Final, Self

from msgspec import Struct, field

from domain.money.budgets import OF_TENANTS, Budgets, BudgetScope
from domain.turns.rate_limits import RateLimit, RateLimits

LARGEST: Final = 1_000_000
"""The largest amount in dollars, and the largest rate."""

LEAST: Final = Decimal("0.000001")
"""The least of both: a smaller rate is none, and a smaller amount is below what is counted."""

FORECAST: Final = "forecast_day"
WARN_SHARE: Final = "warn_share"
BUDGETS: Final[Mapping[str, BudgetScope]] = {scope.name.lower(): scope for scope in OF_TENANTS}
PER_MINUTE: Final = "turns_per_minute"
WHOLE: Final = frozenset(f"{scope}_{name}" for scope in ("owner", "tenant") for name in ("burst", "running"))
RATES: Final = frozenset({*WHOLE, f"owner_{PER_MINUTE}", f"tenant_{PER_MINUTE}"})
OPTIONAL: Final = frozenset({*BUDGETS, FORECAST})
"""Names that may have no value: no limit, or a forecast that is learned."""

NAMES: Final = (*BUDGETS, WARN_SHARE, FORECAST, *sorted(RATES))
"""The names of limits: those of the file of budgets, and the settings of rates in lower case."""

type LimitValues = Mapping[str, Decimal | None]


class LimitChanges(Struct, frozen=True, kw_only=True):
    """The changed values by name; a name that is absent is as configured.

    `by` is the subject of who changed them last, `at` when, in seconds since the epoch.
    """

    values: LimitValues = field(default_factory=dict[str, "Decimal | None"])
    at: float = 0.0
    by: str = ""

    def budgets(self, configured: Budgets) -> Budgets:
        """Return the budgets in force, from those that are configured for the tenant."""
        if not self.values:
            return configured
        limits = {**configured.limits, **{BUDGETS[name]: each for name, each in self.values.items() if name in BUDGETS}}
        return Budgets(
            limits={scope: limit for scope, limit in limits.items() if limit is not None},
            warn_share=self.values.get(WARN_SHARE) or configured.warn_share,
            forecast=self.values.get(FORECAST, configured.forecast),
            origins=configured.origins,
        )

    def rates(self, configured: RateLimits) -> RateLimits:
        """Return the rate limits in force, from those that are configured."""
        if not self.values.keys() & RATES:
            return configured
        return RateLimits(owner=self.rate("owner", configured.owner), tenant=self.rate("tenant", configured.tenant))

    def rate(self, scope: str, configured: RateLimit) -> RateLimit:
        per_minute, burst, running = (self.values.get(f"{scope}_{name}") for name in (PER_MINUTE, "burst", "running"))
        return RateLimit(
            per_minute=float(per_minute or configured.per_minute),
            burst=int(burst or configured.burst),
            running=int(running or configured.running),
        )

    def changed(self, values: LimitValues, reset: Iterable[str], *, at: float, by: str) -> "LimitChanges":
        """Return these changes with some more; a name in `reset` is as configured again."""
        kept = {name: value for name, value in self.values.items() if name not in set(reset)}
        return replace(self, values={**kept, **values}, at=at, by=by)

    def to_document(self) -> dict[str, Any]:
        texts = {name: None if value is None else str(value) for name, value in self.values.items()}
        return {"kind": "limit_changes", "v": 1, "at": self.at, "by": self.by, "values": texts}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        """Read a document; names of a later release are left out."""
        values: Mapping[str, str | None] = body["values"]
        known = {name: None if text is None else Decimal(text) for name, text in values.items() if name in NAMES}
        return cls(values=known, at=body["at"], by=body["by"])


NO_CHANGES: Final = LimitChanges()


def values_of(budgets: Budgets, rates: RateLimits) -> LimitValues:
    """Return the value of every name; None where there is no limit or no configured forecast."""
    found: dict[str, Decimal | None] = {name: budgets.limits.get(scope) for name, scope in BUDGETS.items()}
    found |= {WARN_SHARE: budgets.warn_share, FORECAST: budgets.forecast}
    for scope, limit in (("owner", rates.owner), ("tenant", rates.tenant)):
        found[f"{scope}_{PER_MINUTE}"] = Decimal(str(limit.per_minute))
        found |= {f"{scope}_burst": Decimal(limit.burst), f"{scope}_running": Decimal(limit.running)}
    return found


def problem_of(name: str, value: Decimal | None) -> str | None:
    """Return what is wrong with a changed value, or None."""
    if name not in NAMES:
        return f"expected one of {', '.join(NAMES)}"
    if value is None:
        return None if name in OPTIONAL else "expected a number: only a budget may have no limit"
    if not (value.is_finite() and LEAST <= value <= LARGEST):
        return f"expected a number from {LEAST:f} to {LARGEST}"
    if name == WARN_SHARE and value > 1:
        return "expected a share of a budget, at most 1: a larger one never warns"
    return "expected a whole number" if name in WHOLE and value != value.to_integral_value() else None

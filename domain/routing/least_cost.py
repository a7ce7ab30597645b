"""Which backends can no turn use, because the smallest turn may cost more than a budget allows?"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import Backend, Fleet
from domain.money.budgets import Budgets, BudgetScope, dollars_text
from domain.money.ledger_records import nanos
from domain.routing.costs import estimate
from domain.routing.estimates import AttemptLimits, Demand, Readiness, RoutingOption


class TooSmallBudget(NamedTuple):
    """A budget below the least worst case of some backends, in dollars, the cheapest of them first.

    `field` names the budget: its setting, or its path in the file of budgets. `excludes_all`: no backend is left.
    """

    field: str
    limit: Decimal
    needed: Mapping[str, Decimal]
    excludes_all: bool

    @property
    def message(self) -> str:
        backends = ", ".join(f"{name} {dollars_text(nanos(worst))}" for name, worst in self.needed.items())
        effect = "no turn can run" if self.excludes_all else "they are never used"
        limit = dollars_text(nanos(self.limit))
        below = f"{limit} is below what the smallest turn may cost at worst ({backends})"
        return f"{self.field}: {below}, so {effect}; raise it, or remove it"


def too_small_budgets(fleet: Fleet, budgets: Budgets, limits: AttemptLimits) -> Iterator[TooSmallBudget]:
    """Yield each budget that is below the least worst case of an enabled backend: those of all, then of tenants."""
    needed = {name: least_worst_case(each, fleet, limits) for name, each in fleet.backends.items()}
    seen: set[tuple[BudgetScope, Decimal]] = set()
    for name, each in (("", budgets), *budgets.tenants.items()):
        for scope, limit in each.limits.items():
            beyond = {backend: worst for backend, worst in needed.items() if worst > limit}
            if beyond and (scope, limit) not in seen:
                seen.add((scope, limit))
                ordered = dict(sorted(beyond.items(), key=lambda pair: pair[1]))
                yield TooSmallBudget(field_of(scope, name), limit, ordered, len(beyond) == len(needed))


def field_of(scope: BudgetScope, tenant: str) -> str:
    name = scope.name.lower()
    return f"tenants.{tenant}.{name}" if tenant else f"GANGLION_BUDGET_{name.upper()}"


def least_worst_case(backend: Backend, fleet: Fleet, limits: AttemptLimits) -> Decimal:
    """Return the dollars that a turn of one token may cost at worst at a backend, from cold where it scales to zero."""
    model, state = fleet.models[backend.model], initial_state(backend)
    is_cold = backend.cold_start.scales_to_zero
    option = RoutingOption(
        backend=backend,
        model=model,
        price=backend.price,
        backend_state=state,
        now=0.0,
        readiness=Readiness.COLD if is_cold else Readiness.UP,
        remaining_start_s=state.start_times.p50_s if is_cold else 0.0,
        slow_remaining_start_s=state.start_times.p99_s if is_cold else 0.0,
    )
    return estimate(option, Demand(input_tokens=1, output_tokens=1, attempt_limits=limits)).worst_cost

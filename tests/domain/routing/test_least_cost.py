"""Is a budget named that the smallest turn of a backend may exceed?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.fleet.catalog import ColdStart, Fleet, Model
from domain.money.budgets import Budgets, BudgetScope
from domain.money.prices import PriceComponent, PriceKind, PriceSource, TimePrice
from domain.routing.estimates import LEAST_WORST_S, AttemptLimits
from domain.routing.least_cost import least_worst_case, too_small_budgets
from tests.fakes.worlds import backend

LIMITS = AttemptLimits(hold_s=10, handover_s=480)
SECOND = Decimal("0.001")
MACHINE = TimePrice(
    name="machine",
    origin=PriceSource(source="test", date="2026-11", region="test"),
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="gpu", amount=SECOND, count=Decimal(1)),),
    per_s=1,
    granularity_ms=100,
    idle_s=600,
)
COLD = ColdStart(scales_to_zero=True, p50_s=60, p99_s=300, idle_s=600)
FLEET = Fleet(
    models={"model": Model(name="model", context_tokens=4096, tier=1, capabilities=frozenset())},
    backends={"tokens": backend("tokens"), "gpu": replace(backend("gpu"), price=MACHINE, cold_start=COLD)},
)
GPU_WORST = SECOND * (300 + 10 + int(LEAST_WORST_S) + 600 + 4 * Decimal("0.1"))
"""A slow start, the held request, the least worst attempt, one idle period, and the rounding of four parts."""


def messages(budgets: Budgets) -> list[str]:
    return [each.message for each in too_small_budgets(FLEET, budgets, LIMITS)]


def limited(amount: str, scope: BudgetScope = BudgetScope.RESPONSE) -> Budgets:
    return Budgets(limits={scope: Decimal(amount)})


def test_a_cold_gpu_costs_its_slow_start_one_attempt_and_its_idle_period() -> None:
    assert least_worst_case(FLEET.backends["gpu"], FLEET, LIMITS) == GPU_WORST


def test_a_budget_that_covers_the_worst_case_is_not_named() -> None:
    assert messages(limited(str(GPU_WORST))) == []
    assert messages(Budgets()) == []


def test_a_budget_that_excludes_the_gpu_alone_names_it_and_its_worst_case() -> None:
    (message,) = messages(limited("0.5"))
    assert message == (
        "GANGLION_BUDGET_RESPONSE: $0.50 is below what the smallest turn may cost at worst (gpu $0.9404), so they are "
        "never used; raise it, or remove it"
    )


def test_a_budget_that_excludes_every_backend_lets_no_turn_run() -> None:
    (found,) = too_small_budgets(FLEET, limited("0.000000001", BudgetScope.OWNER_DAY), LIMITS)
    assert (found.excludes_all, list(found.needed)) == (True, ["tokens", "gpu"])
    assert "no turn can run" in found.message


@pytest.mark.parametrize("amount", ["0.5", "5"])
def test_the_budget_of_a_single_tenant_is_named_by_its_path(amount: str) -> None:
    fields = [each.field for each in too_small_budgets(FLEET, Budgets(tenants={"one": limited(amount)}), LIMITS)]
    assert fields == (["tenants.one.response"] if Decimal(amount) < GPU_WORST else [])


def test_what_a_tenant_takes_from_the_budgets_of_all_is_named_once() -> None:
    budgets = limited("0.5")
    fields = [each.field for each in too_small_budgets(FLEET, replace(budgets, tenants={"one": budgets}), LIMITS)]
    assert fields == ["GANGLION_BUDGET_RESPONSE"]

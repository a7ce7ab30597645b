"""Which budgets does each caller see, and how are the day and the month projected?"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from domain.money.budgets import Budgets, BudgetScope
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says

DAY_S = 86_400
LIMITS = {BudgetScope.OWNER_DAY: Decimal(1), BudgetScope.TENANT_MONTH: Decimal(30)}


async def listed(one: Api, caller: str = "mine") -> Mapping[str, Any]:
    answer = await one.http.get("/v1/budgets", headers={"authorization": f"Bearer {caller}"})
    assert answer.status_code == 200, answer.text
    return {each["id"]: each for each in answer.json()["data"]}


async def spend(one: Api, *, times: int = 1) -> None:
    """Spend 0.000011 dollars a turn."""
    for _ in range(times):
        await one.create({"input": "hi", "model": "model"})
        await one.orchestrations.ended()


def spending(budgets: Budgets, *, turns: int = 1) -> Api:
    return api(FakeBackend(*(says("one two") for _ in range(turns))), budgets=budgets)


async def test_a_budget_shows_its_limit_and_what_is_spent_held_and_left() -> None:
    one = spending(Budgets(limits=LIMITS))
    await spend(one)
    budgets = await listed(one)
    assert set(budgets) == {"owner_day", "owner_month", "tenant_month"}
    assert budgets["owner_day"] == {
        "id": "owner_day",
        "object": "budget",
        "period": "2027-01-15",
        "resets_at": 1_800_057_600.0,
        "limit_usd": "1.000000000",
        "spent_usd": "0.000011000",
        "held_usd": "0.000000000",
        "left_usd": "0.999989000",
    }
    assert (budgets["owner_month"]["limit_usd"], budgets["owner_month"]["left_usd"]) == (None, None)
    assert budgets["tenant_month"]["resets_at"] == 1_801_440_000.0


async def test_a_tenants_spend_without_a_limit_needs_the_role() -> None:
    one = spending(Budgets())
    await spend(one)
    assert set(await listed(one)) == {"owner_day", "owner_month"}
    seen = await listed(one, "reader")
    assert seen["tenant_day"]["spent_usd"] == "0.000011000"
    assert seen["owner_day"]["spent_usd"] == "0.000000000"
    assert (await listed(one, "foreign"))["tenant_day"]["spent_usd"] == "0.000000000"


async def test_a_configured_forecast_projects_the_rest_of_the_day_and_the_month() -> None:
    one = spending(Budgets(forecast=Decimal("0.000012")))
    await spend(one)
    seen = await listed(one, "reader")
    day, month = seen["tenant_day"], seen["tenant_month"]
    left = Decimal(day["resets_at"] - one.world.clock.now()) / DAY_S
    assert (day["forecast_usd"], day["forecast_source"]) == ("0.000012000", "configured")
    assert day["projected_usd"] == f"{Decimal('0.000011') + Decimal('0.000012') * left:.9f}"
    assert day["projected_low_usd"] == day["projected_high_usd"] == day["projected_usd"]
    assert day["forecast_percent_reached"] == 80
    assert Decimal(month["projected_usd"]) == Decimal("0.000011") + Decimal("0.000012") * (left + 16)


async def test_the_forecast_is_learned_from_the_last_days_with_a_band() -> None:
    one = spending(Budgets(), turns=7)
    for turns in (1, 2, 3, 1):
        await spend(one, times=turns)
        one.world.clock.advance(DAY_S)
    day = (await listed(one, "reader"))["tenant_day"]
    assert (day["forecast_source"], day["forecast_usd"]) == ("learned", "1.000000000")
    assert Decimal(day["projected_low_usd"]) < Decimal(day["projected_usd"]) <= Decimal(day["projected_high_usd"])
    assert day["forecast_percent_reached"] is None

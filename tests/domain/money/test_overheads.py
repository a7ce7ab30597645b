"""Is what the store and the functions took priced as their providers price it?"""

from decimal import Decimal

import pytest

from domain.config.prices_toml import overheads_from_toml, prices_from_toml
from domain.errors import ConfigurationError
from domain.money.overheads import OverheadCost, OverheadPrices, StepResources
from tests.domain.fleets import shipped_text

SHIPPED = overheads_from_toml(shipped_text("prices.toml"))


def test_a_short_step_is_billed_for_a_second_and_so_is_the_orchestrator_behind_it() -> None:
    spent = StepResources().and_step(10.5, 0.02).and_step(1.25, 4.5)
    assert spent == StepResources(units=11.75, seconds=7.5, executions=4)


def test_the_shipped_prices_are_those_of_serverless_cosmos_and_of_flex_consumption() -> None:
    spent = StepResources(units=1_000_000, seconds=10.0, executions=1_000_000)
    assert SHIPPED.cost(spent) == OverheadCost(store=Decimal("0.25"), functions=Decimal("0.40") + Decimal("0.00013"))


def test_what_has_no_price_costs_nothing() -> None:
    assert overheads_from_toml("") == OverheadPrices()
    assert OverheadPrices().cost(StepResources(units=5, seconds=5, executions=5)) == OverheadCost()


def test_a_store_that_charges_nothing_is_a_zero_line() -> None:
    assert SHIPPED.cost(StepResources().and_step(0.0, 3.0)).store == 0


def test_every_mistake_in_the_prices_of_the_turns_themselves_is_named() -> None:
    broken = shipped_text("prices.toml").replace('gb_second = "0.000026"', 'gb_seconds = "0.000026"')
    with pytest.raises(ConfigurationError) as caught:
        prices_from_toml(broken)
    assert any("overheads.functions.gb_second: expected an amount" in each for each in caught.value.problems)
    assert any("overheads.functions.gb_seconds: expected one of" in each for each in caught.value.problems)

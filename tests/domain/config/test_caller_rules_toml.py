"""Are the rules for the data and the time of callers read from the file of the fleet, and their mistakes named?"""

from decimal import Decimal

import pytest

from domain.config.fleet_toml import fleet_from_toml
from domain.errors import ConfigurationError
from domain.fleet.caller_rules import AutoTiers, TenantRules
from tests.domain.config.test_fleet_toml import GOOD, VARIABLES
from tests.domain.fleets import PRICES

FLEET = GOOD.replace('price = "gpu"', 'price = "gpu"\nresidency = "eu"')


def test_without_the_table_data_may_go_anywhere() -> None:
    assert fleet_from_toml(FLEET, VARIABLES, PRICES).callers == TenantRules()


def test_a_tenant_has_the_usual_rules_where_its_table_says_nothing() -> None:
    text = '[callers]\nresidencies = ["eu"]\ntime_value = "0.001"\n[callers.tenants.one]\nresidencies = []\n'
    text += '[callers.tenants.two]\ntime_value = "0"\n'
    callers = fleet_from_toml(FLEET + text, VARIABLES, PRICES).callers
    assert (callers.of("one").residencies, callers.of("one").time_value) == (frozenset(), Decimal("0.001"))
    assert (callers.of("two").residencies, callers.of("two").time_value) == ({"eu"}, Decimal(0))
    assert callers.of("three") == callers.usual


def test_a_backend_that_is_not_configured_has_a_location_that_rules_may_name() -> None:
    callers = fleet_from_toml(FLEET + '[callers]\nresidencies = ["eu"]\n', {}, PRICES).callers
    assert callers.usual.residencies == {"eu"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[callers]\nresidencies = ["us"]\n',
            "callers.residencies: expected some of the residency of backends: eu, found ['us']",
        ),
        ('[callers]\nresidencies = "eu"\n', "callers.residencies: expected a list of texts, found 'eu'"),
        ('[callers]\ntime_value = "2"\n', "callers.time_value: expected dollars for a second, at most 1, found '2'"),
        (
            "[callers]\ntime_value = 0.1\n",
            """callers.time_value: expected an amount in quotes, such as "0.25", found 0.1""",
        ),
        (
            "[callers.tenants.one]\nresidence = []\n",
            "callers.tenants.one.residence: expected one of the fields residencies, time_value",
        ),
        ("[callers]\ntenant = 1\n", "callers.tenant: expected one of the fields residencies, tenants, time_value"),
    ],
)
def test_each_mistake_is_named_by_table_and_field(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fleet_from_toml(FLEET + text, VARIABLES, PRICES)
    assert caught.value.problems == (problem,)


def test_the_tiers_of_auto_are_read() -> None:
    found = fleet_from_toml(FLEET + "[auto]\neasy = 1\nmedium = 2\nhard = 2\n", VARIABLES, PRICES).auto
    assert found == AutoTiers(easy=1, medium=2, hard=2)
    assert fleet_from_toml(FLEET, VARIABLES, PRICES).auto is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("easy = 1\nmedium = 2", "auto.hard: expected a whole number from 1 to 5, found nothing"),
        ("easy = 0\nmedium = 2\nhard = 3", "auto.easy: expected a whole number from 1 to 5, found 0"),
        (
            "easy = 3\nmedium = 2\nhard = 3",
            "auto.hard: expected tiers that rise, or stay, from easy to medium and hard, found 3",
        ),
        ("easy = 1\nmedium = 1\nhard = 2\nharder = 3", "auto.harder: expected one of the fields easy, hard, medium"),
    ],
)
def test_each_mistake_in_the_tiers_of_auto_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fleet_from_toml(f"{FLEET}[auto]\n{text}\n", VARIABLES, PRICES)
    assert problem in caught.value.problems

"""Does the router see the idle period that the product chooses, and every other backend as it is?"""

from copy import replace

from domain.fleet.instances.held_backend import held, held_fleet, provider_idle_s, with_idle_period
from domain.fleet.instances.scaling import Scaling
from domain.money.prices import TimePrice
from tests.domain.fleets import API, SERVERLESS, backend, fleet

PROVIDER = backend("provider", cold=SERVERLESS)
COUNTED = replace(PROVIDER, name="counted", scaling=Scaling.COUNT)


def test_an_idle_period_is_paid_and_waited_for() -> None:
    found = with_idle_period(COUNTED, 45)
    assert isinstance(found.price, TimePrice)
    assert (found.price.idle_s, found.cold_start.idle_s) == (45, 45)
    by_tokens = with_idle_period(replace(COUNTED, price=API), 45)
    assert (by_tokens.price, by_tokens.cold_start.idle_s) == (API, 45)


def test_the_provider_s_period_is_that_of_a_price_of_time() -> None:
    assert provider_idle_s(COUNTED) == 600
    assert provider_idle_s(replace(COUNTED, price=API)) == 0.0


def test_only_what_the_product_ends_has_another_period() -> None:
    assert held(PROVIDER, 45) is PROVIDER
    assert held(COUNTED, 45) == with_idle_period(COUNTED, 45)
    shorter = replace(COUNTED, cold_start=replace(SERVERLESS, idle_s=90))
    assert held(shorter) == with_idle_period(shorter, 90)
    assert held(COUNTED, 0.0).cold_start.idle_s == 0.0


def test_a_fleet_has_the_periods_of_its_rules() -> None:
    plain = fleet(PROVIDER)
    assert held_fleet(plain, {"provider": 45.0}) is plain
    found = held_fleet(fleet(PROVIDER, COUNTED), {"provider": 45.0, "counted": 30.0})
    assert found.backends == {"provider": PROVIDER, "counted": with_idle_period(COUNTED, 30.0)}
    assert held_fleet(fleet(COUNTED), {}).backends == {"counted": held(COUNTED)}

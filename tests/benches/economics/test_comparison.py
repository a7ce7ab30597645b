"""Does a comparison of ways to serve requests equal a calculation by hand, and break even where the simulator does?"""

from decimal import Decimal

import pytest

from benches.economics.comparison import (
    break_even,
    demand_of,
    machines_needed,
    mixes,
    owning_pays_in,
    ranked,
    strategies,
    terms_of,
)
from benches.economics.inputs import Request, read_machine
from benches.routing.optimum import optimum
from domain.routing.rules.replay import ALWAYS, replay
from tests.benches.economics.samples import API, MACHINE, OWNED, PRICES, TEXT, TWENTY


def test_twenty_requests_cost_what_a_calculation_by_hand_says() -> None:
    found = strategies(TWENTY, API, MACHINE, controlled_idle_s=10, owned=OWNED)
    assert found["API alone"] == 20 * Decimal("0.0035")
    assert found["GPU always on"] == 1143 * Decimal("0.0004")
    up_s = 60 + 3 + 19 * 60 - 60 + 600
    assert found["GPU for every request, idle period as billed"] == Decimal(up_s) * Decimal("0.0004")
    assert found["our policy, idle period as billed"] == 20 * Decimal("0.0035")
    assert found["our policy, controlled idle period"] <= 20 * Decimal("0.0035")
    hours = Decimal(1143) / 3600
    assert found["owned, without its purchase"] == (hours * Decimal("0.1") + hours * Decimal("0.05")).quantize(
        Decimal("1e-9")
    )


def test_the_break_even_is_the_rate_at_which_the_simulator_finds_the_same_cost() -> None:
    even = break_even(TWENTY, API, MACHINE)
    assert even.requests_an_hour == Decimal("1.44") / Decimal("0.0035")
    assert abs(even.utilisation - even.requests_an_hour * 3 / 3600 / 4) < Decimal("1e-9")
    gap_s = 3600 / float(even.requests_an_hour)
    steady = [Request(gap_s * number, 1000, 100) for number in range(10_000)]
    demand, terms = demand_of(steady, API, MACHINE), terms_of(MACHINE, 600.0)
    alone = sum(each.saved for each in demand)
    assert replay(demand, ALWAYS, terms).dollars == pytest.approx(alone, rel=0.01)
    assert optimum(demand, terms) == pytest.approx(alone, rel=0.01)


def test_a_busy_instant_needs_more_machines() -> None:
    assert machines_needed(TWENTY, MACHINE) == 1
    assert machines_needed([Request(0.0, 1000, 100)] * 9, MACHINE) == 3


def test_the_cheapest_mix_takes_a_second_type_for_what_does_not_fit_in_the_first() -> None:
    large = read_machine(TEXT.replace("price=gpu", "price=large").replace("4096", "100000"), PRICES)
    small = [Request(float(number), 1000, 100) for number in range(2000)]
    huge = [Request(number + 0.5, 50_000, 100) for number in range(2000)]
    for requests, cheapest in ((small, ("gpu",)), (TWENTY, ()), (sorted((*small, *huge)), ("large",))):
        assert ranked(mixes(requests, API, (MACHINE, large)))[0].gpus == cheapest


def test_owning_pays_in_the_month_in_which_its_purchase_is_saved() -> None:
    """The requests take 1143 s: a month has 2300.79 times as many, and owning costs $109.575 a month."""
    times = Decimal("730.5") * 3600 / 1143
    for saved, month in ((Decimal(500), 10), (Decimal("502.6"), 10), (Decimal(498), 11), (Decimal(6000), 1)):
        assert owning_pays_in((saved + Decimal("109.575")) / times, TWENTY, MACHINE, OWNED) == month
    assert owning_pays_in(Decimal("109.57") / times, TWENTY, MACHINE, OWNED) is None

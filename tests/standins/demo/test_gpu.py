"""Which price and which state does the demo show of its GPU?"""

from decimal import Decimal

from standins.demo.gpu import dollars_a_second


def test_a_gpu_costs_what_fleet_and_price_files_say() -> None:
    rate = dollars_a_second("laptop-gpu")
    assert rate == Decimal("0.0001867") + 8 * Decimal("0.000018") + 32 * Decimal("0.000002")
    assert dollars_a_second("scripted-gpu") == rate
    assert dollars_a_second("scripted") is None

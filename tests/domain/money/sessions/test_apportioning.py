"""Is an amount divided into whole parts that add up?"""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.money.sessions.apportioning import apportioned
from tests.checks import every


@given(st.integers(0, 10**12), st.lists(st.fractions(0, 1000), min_size=1, max_size=9))
def test_an_amount_is_divided_into_whole_parts_that_add_up_and_none_is_off_by_one(
    amount: int, given_weights: list[Fraction]
) -> None:
    weights = dict(enumerate(given_weights))
    parts = apportioned(amount, weights)
    assert sum(parts.values()) == amount
    whole = sum(weights.values(), Fraction(0))
    assert not whole or every(abs(parts[name] - amount * weight / whole) < 1 for name, weight in weights.items())

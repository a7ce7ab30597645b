"""Does a decision say what it rests on: the rules that it used, the tokens it counted, and when to ask again?"""

from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.routing.estimates import Demand
from domain.routing.filters import Rejection
from domain.routing.rent_or_buy import RentOrBuy, idle_cost, session_price
from domain.routing.router import counts_of, pick
from tests.domain.fleets import API, ATTEMPT_LIMITS
from tests.domain.fleets import GPU as PRICE


def demand(**changes: Any) -> Demand:
    fields: dict[str, Any] = {"input_tokens": 500, "output_tokens": 500, "attempt_limits": ATTEMPT_LIMITS}
    return Demand(**(fields | changes))


@pytest.mark.parametrize(("expected", "counted"), [(None, 500), (400, 400)])
def test_an_estimate_counts_what_is_expected_where_that_is_known(expected: int | None, counted: int) -> None:
    found = counts_of(demand(expected_input_tokens=expected), ["small"])["small"]
    assert (found.tokens.expected, found.tokens.likely, found.tokens.ceiling) == (counted, 500, 500)


@pytest.mark.parametrize(
    ("pauses", "retry_in_s"), [((5.0, 2.0, None), 2.0), ((None, 7.0), 7.0), ((None,), None), ((), None)]
)
def test_a_turn_asks_again_when_the_first_backend_may_be_eligible(
    pauses: tuple[float | None, ...], retry_in_s: float | None
) -> None:
    rejected = [Rejection(backend="one", code="circuit", reason="a test", retry_in_s=each) for each in pauses]
    assert pick([], rejected, demand()).retry_in_s == retry_in_s


def verdict(**changes: Any) -> RentOrBuy:
    fields: dict[str, Any] = {
        "price": Decimal(1),
        "spent": Decimal("0.5"),
        "scheduled": Decimal("0.25"),
        "window_s": 600,
        "pays": True,
    }
    return RentOrBuy(**(fields | changes))


@pytest.mark.parametrize(("multiple", "words"), [(1.0, "reach its price"), (0.6, "reach 0.6 times its price")])
def test_the_reason_names_the_multiple_of_the_price_that_buys_a_session(multiple: float, words: str) -> None:
    assert words in verdict(multiple=multiple).reason
    assert verdict() == verdict(multiple=1.0)


@pytest.mark.parametrize(
    ("minimum_s", "bills_cold", "seconds"), [(0.0, True, 660.0), (0.0, False, 600.0), (900.0, True, 900.0)]
)
def test_a_session_costs_its_start_and_idle_period_and_its_minimum_at_least(
    minimum_s: float, seconds: float, *, bills_cold: bool
) -> None:
    price = replace(PRICE, minimum_s=minimum_s, bills_cold=bills_cold)
    assert session_price(price, 60.0) == idle_cost(PRICE.amount, PRICE.per_s, PRICE.granularity_ms, seconds)
    assert session_price(price, 60.0) == pytest.approx(PRICE.amount * Decimal(seconds))
    assert session_price(API, 60.0) == 0

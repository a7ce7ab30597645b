"""Which cold backend is warmed up, and which always-on backend bounds the rental spend?"""

from collections.abc import Sequence
from copy import replace
from decimal import Decimal

import pytest

from domain.routing.candidates import Candidate
from domain.routing.estimates import Demand, Readiness
from domain.routing.rent_or_buy import RentOrBuy
from domain.routing.router import RouteDecision, route, warm_up_target
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet

NOW = 1_000_000.0
GPU = backend("gpu", cold=SERVERLESS)
DEMAND = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500)


def session(*, pays: bool, scheduled: str | None = "0.5") -> RentOrBuy:
    saved = None if scheduled is None else Decimal(scheduled)
    return RentOrBuy(price=Decimal(1), spent=Decimal(2), scheduled=saved, window_s=600, pays=pays)


def candidate(name: str, rented: RentOrBuy | None, readiness: Readiness = Readiness.COLD) -> Candidate:
    (found,) = route(DEMAND, fleet(GPU), {}, NOW).candidates
    return replace(found, backend=name, session=rented, readiness=readiness)


def decided(*candidates: Candidate) -> RouteDecision:
    chosen = candidates[0].backend if candidates else None
    return RouteDecision(backend=chosen, reason="", candidates=candidates)


@pytest.mark.parametrize(
    ("savings", "target"),
    [(["0.1", "0.3"], "gpu1"), (["0.3", "0.1"], "gpu0"), (["0.2", "0.2"], "gpu0")],
)
def test_the_session_that_saves_most_is_warmed_up_and_the_first_by_name_of_two(
    savings: Sequence[str], target: str
) -> None:
    warm = candidate("api", None, Readiness.UP)
    cold = [candidate(f"gpu{n}", session(pays=True, scheduled=saved)) for n, saved in enumerate(savings)]
    assert warm_up_target([warm], cold)[0] == target


def test_a_session_that_does_not_pay_is_not_warmed_up_for_later_turns() -> None:
    warm = candidate("api", None, Readiness.UP)
    assert warm_up_target([warm], [candidate("gpu", session(pays=False))]) == (None, "")


def test_the_reason_says_whether_the_session_pays_or_has_the_lowest_score() -> None:
    for rented in (session(pays=True), session(pays=False, scheduled=None)):
        assert warm_up_target([candidate("gpu", rented)], []) == ("gpu", rented.reason)
    unpaid = session(pays=False)
    assert warm_up_target([candidate("gpu", unpaid)], []) == (
        "gpu",
        f"it has the lowest score; {unpaid.reason}",
    )


def test_an_alternative_is_a_second_candidate() -> None:
    one, two = candidate("one", None), candidate("two", None)
    assert [decided(*found).has_alternative for found in ((), (one,), (one, two))] == [False, False, True]


def test_the_rental_spend_is_the_cheapest_always_on_backend() -> None:
    dear = replace(GPU, name="dear", cold_start=replace(GPU.cold_start, scales_to_zero=False))
    small = replace(dear, name="small", speed=replace(GPU.speed, decode_tokens_s=GPU.speed.decode_tokens_s * 4))
    both = route(DEMAND, fleet(GPU, dear, small), {}, NOW)
    costs = {each.backend: each.cost for each in both.candidates}
    assert costs["small"] < costs["dear"]
    assert both.rental_spend == costs["small"]
    assert route(DEMAND, fleet(GPU), {}, NOW).rental_spend is None


def test_the_reason_counts_the_candidates() -> None:
    steady = replace(GPU, name="steady", cold_start=replace(GPU.cold_start, scales_to_zero=False))
    assert "the only eligible backend" in route(DEMAND, fleet(steady), {}, NOW).reason
    assert "the best of 2 by cost and waiting time" in route(DEMAND, fleet(steady, GPU), {}, NOW).reason

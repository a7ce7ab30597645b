"""Is a GPU warmed up when the rent reaches its price, and not before?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import initial_state
from domain.fleet.state_updates import after_warm_up
from domain.routing.estimates import Demand, Readiness
from domain.routing.rent_or_buy import rent_or_buy, window_s
from domain.routing.router import RouteDecision, route
from tests.checks import every
from tests.domain.fleets import ATTEMPT_LIMITS, SERVERLESS, backend, fleet, limits

NOW = 1_000_000.0
API = backend("api", model="large", price="api", bounds=limits(context_tokens=131072, max_output_tokens=32768))
GPU = backend("gpu", cold=SERVERLESS)
OTHER = backend("other", cold=SERVERLESS)
SESSION = Decimal("0.260502")
"""Start and tail of the GPU: 660 s at $0.0003947."""

amounts = st.decimals(min_value=0, max_value=2, places=6)


def decide(
    *backends: str,
    spent: Decimal = Decimal(0),
    deadline_s: float | None = None,
    starting: bool = False,
    idle_s: float | None = None,
) -> RouteDecision:
    known = {each.name: each for each in (API, GPU, OTHER)}
    demand = Demand(
        attempt_limits=ATTEMPT_LIMITS,
        input_tokens=500,
        output_tokens=500,
        expected_output_tokens=50,
        deadline_s=deadline_s,
    )
    state = initial_state(GPU)
    if starting:
        state = after_warm_up(state, GPU, by="another", now=NOW - 50) or state
    if idle_s is not None:
        state = replace(state, warmth=replace(state.warmth, warm_until=NOW + 600 - idle_s))
    return route(demand, fleet(*(known[name] for name in backends)), {"gpu": state}, NOW, spent={"gpu": spent})


@pytest.mark.parametrize(
    ("spent", "scheduled", "warms_up", "pays", "reason"),
    [
        ("0", None, True, False, "no warm backend can serve this turn"),
        ("0", "0.01", False, False, "a session does not pay off yet"),
        ("0.24", "0.01", False, False, "a session does not pay off yet"),
        ("0.25", "0.01", True, True, "a session pays off"),
        ("0", "0.26", True, True, "this turn alone pays for a session"),
    ],
)
def test_rent_is_paid_until_it_reaches_the_price(
    spent: str, scheduled: str | None, reason: str, *, warms_up: bool, pays: bool
) -> None:
    found = rent_or_buy(
        session=Decimal("0.26"),
        spent=Decimal(spent),
        scheduled=None if scheduled is None else Decimal(scheduled),
        window_s=660,
    )
    assert (found.warms_up, found.pays) == (warms_up, pays)
    assert found.reason.startswith(reason)


@given(amounts, amounts, amounts)
def test_a_warm_up_is_bought_exactly_when_the_rent_reaches_its_price(
    session: Decimal, spent: Decimal, scheduled: Decimal
) -> None:
    found = rent_or_buy(session=session, spent=spent, scheduled=scheduled, window_s=660)
    assert found.warms_up == found.pays == (scheduled > 0 and spent + scheduled >= session)


def test_rent_counts_as_far_back_as_an_idle_session_lasts() -> None:
    assert window_s(GPU, GPU.cold_start.p50_s) == 660


def test_a_cold_gpu_that_does_not_pay_yet_comes_last_and_is_not_warmed_up() -> None:
    found = decide("api", "gpu", spent=SESSION - Decimal("0.01"))
    assert (found.backend, found.warm_up, found.cold_candidates) == ("api", None, ("gpu",))
    assert found.candidates[1].why_last
    assert "a session does not pay off yet" in found.candidates[1].why_last


def test_a_cold_gpu_that_pays_is_warmed_up_and_awaited_where_the_deadline_has_time() -> None:
    found = decide("api", "gpu", spent=SESSION, deadline_s=1800)
    assert (found.backend, found.warm_up) == ("gpu", "gpu")
    assert found.candidates[0].terms["investment"] == -found.candidates[0].cost
    assert found.candidates[0].terms["patience"] < 0
    assert "a session pays off" in found.warm_up_reason


def test_a_machine_that_is_up_is_kept_while_it_pays_and_let_go_when_it_does_not() -> None:
    assert decide("api", "gpu", spent=SESSION, idle_s=500).backend == "gpu"
    assert decide("api", "gpu", spent=SESSION / 2, idle_s=500).backend == "api"
    assert decide("api", "gpu", spent=SESSION * 7 / 10, idle_s=500).backend == "gpu"
    longer = {each.backend: each.cost for each in decide("api", "gpu", spent=SESSION / 2, idle_s=500).candidates}
    shorter = {each.backend: each.cost for each in decide("api", "gpu", spent=SESSION / 2, idle_s=1).candidates}
    assert longer["gpu"] > shorter["gpu"]


@pytest.mark.parametrize("deadline_s", [100.0, 20.0])
def test_who_has_no_time_for_a_slow_start_goes_elsewhere_while_it_starts(deadline_s: float) -> None:
    found = decide("api", "gpu", spent=SESSION, deadline_s=deadline_s)
    assert (found.backend, found.warm_up) == ("api", "gpu")


def test_a_cold_gpu_is_warmed_up_where_it_is_the_only_backend() -> None:
    found = decide("gpu")
    assert (found.backend, found.warm_up) == ("gpu", "gpu")
    assert "investment" not in found.candidates[0].terms


def test_a_second_cold_gpu_is_not_warmed_up_while_the_first_starts() -> None:
    found = decide("api", "gpu", "other", spent=SESSION, starting=True)
    assert found.warm_up is None
    (starting,) = [each for each in found.candidates if each.backend == "gpu"]
    assert (starting.readiness, starting.remaining_start_s) == (Readiness.STARTING, 10)


@given(spent=amounts, deadline_s=st.none() | st.floats(min_value=0, max_value=2000), starting=st.booleans())
def test_no_backend_is_warmed_up_that_does_not_pay_while_another_can_answer(
    spent: Decimal, deadline_s: float | None, *, starting: bool
) -> None:
    found = decide("api", "gpu", "other", spent=spent, deadline_s=deadline_s, starting=starting)
    if found.backend and any(each.readiness is not Readiness.COLD for each in found.candidates):
        rent = min(each.cost for each in found.candidates if each.readiness is not Readiness.COLD)
        assert found.warm_up in {None, "gpu"}
        assert found.warm_up is None or spent + rent >= SESSION
        chosen = found.chosen
        assert chosen
        assert not chosen.is_last or every(each.is_last for each in found.candidates)

"""What has a session under way cost, and does it end at the price of the whole session?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money.ledger_records import nanos
from domain.money.sessions.gpu_sessions import session_cost
from domain.money.sessions.outlook import cost_so_far, earliest_end
from tests.domain.money.sessions.test_gpu_sessions import PRICE, START, session

UNDER_WAY = session(ends=START + 100).with_ready_at(START + 10)


@pytest.mark.parametrize(
    ("after_s", "billed_s"),
    [(0, 0), (5, 5), (100, 100), (159, 159), (160, 160), (1000, 160)],
)
def test_a_session_costs_the_time_until_now_or_its_end(after_s: float, billed_s: int) -> None:
    assert cost_so_far(UNDER_WAY, PRICE, START + after_s) == Decimal("0.0003947") * billed_s
    assert earliest_end(UNDER_WAY, PRICE) == START + 160


def test_a_session_with_a_running_attempt_does_not_end() -> None:
    running = UNDER_WAY.with_member("attempt", "tenant", again=False)
    assert earliest_end(running, PRICE) is None
    assert cost_so_far(running, PRICE, START + 1000) == Decimal("0.0003947") * 1000


@given(
    cold_s=st.integers(0, 600).map(lambda tenths: tenths / 10),
    last_s=st.integers(0, 6000).map(lambda tenths: tenths / 10),
    bills_cold=st.booleans(),
)
def test_at_its_end_a_session_has_cost_what_it_is_billed(cold_s: float, last_s: float, *, bills_cold: bool) -> None:
    price = replace(PRICE, bills_cold=bills_cold)
    ended = session(cold_s=cold_s, ends=START + last_s).with_ready_at(START + cold_s)
    assert nanos(cost_so_far(ended, price, START + 10_000)) == session_cost(ended, price)

"""Are the shares of a GPU session right to the microsecond and the nano-dollar?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal

import pytest

from domain.money.costing import BillLine
from domain.money.prices import PriceComponent, PriceKind, TimePrice
from domain.money.sessions.gpu_sessions import (
    GpuSession,
    PayingIntervals,
    SessionSpan,
    paying_intervals,
    session_cost,
    shares,
)
from tests.domain.fleets import ORIGIN

NANO = 10**9
PRICE = TimePrice(
    name="gpu",
    origin=ORIGIN,
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="gpu", amount=Decimal(1), count=Decimal(1)),),
    per_s=1,
    granularity_ms=100,
    idle_s=30.0,
)
SESSION = GpuSession(id="s", backend="gpu", price="gpu", started=0.0, cold_s=10.0, last_end=20.0, ready_at=10.0)
SPAN = SessionSpan(record="a", tenant="t", subject="user:1", response="resp_a", began=5.0, ended=20.0)
WARM_UP = replace(SPAN, record="b", began=6.0, ended=None, is_warm_up=True)


def dollars(found: Mapping[BillLine, int]) -> tuple[float, float, float]:
    return tuple(found[line] / NANO for line in (BillLine.COLD, BillLine.GPU, BillLine.TAIL))  # pyright: ignore[reportReturnType] - three lines


def test_the_only_member_pays_for_the_start_that_nobody_waited_for() -> None:
    assert dollars(shares(SESSION, [SPAN], PRICE)["a"]) == (10.0, 10.0, 30.0)


def test_the_first_member_pays_for_the_end_that_nobody_used() -> None:
    longer = replace(SESSION, last_end=40.0)
    later = replace(SPAN, record="c", began=15.0)
    found = shares(longer, [later, SPAN], PRICE)
    assert dollars(found["a"]) == (10.0, 7.5, 35.0)
    assert dollars(found["c"]) == (0.0, 2.5, 15.0)


def test_a_warm_up_is_the_first_member_however_late_it_is_recorded() -> None:
    longer = replace(SESSION, last_end=40.0)
    found = shares(longer, [SPAN, WARM_UP], PRICE)
    assert dollars(found["b"]) == (5.0, 0.0, 30.0)
    assert dollars(found["a"]) == (5.0, 10.0, 20.0)


def test_of_two_members_that_began_together_the_first_by_name_pays() -> None:
    found = shares(SESSION, [replace(SPAN, record="z"), SPAN], PRICE)
    assert dollars(found["a"]) == (7.5, 5.0, 15.0)
    assert dollars(found["z"]) == (2.5, 5.0, 15.0)


def test_a_start_that_is_not_billed_costs_nobody_anything() -> None:
    dear = replace(PRICE, components=(PriceComponent(name="gpu", amount=Decimal(1000), count=Decimal(1)),))
    free = replace(dear, bills_cold=False)
    assert shares(SESSION, [SPAN], free)["a"] == {
        BillLine.GPU: 10_000 * NANO,
        BillLine.COLD: 0,
        BillLine.TAIL: 30_000 * NANO,
    }


@pytest.mark.parametrize(
    ("last_end", "bills_cold", "idle_s", "cost"),
    [
        (20.0, True, 30.0, 50.0),
        (20.0, False, 30.0, 40.0),
        (20.000001, True, 30.0, 50.1),
        (20.000001, False, 30.0, 40.1),
        (0.0, False, 0.0, 0.0),
        (0.0, True, 0.0, 10.0),
    ],
)
def test_a_session_is_billed_in_whole_steps(last_end: float, idle_s: float, cost: float, *, bills_cold: bool) -> None:
    price = replace(PRICE, bills_cold=bills_cold, idle_s=idle_s)
    assert session_cost(replace(SESSION, last_end=last_end), price) / NANO == cost


def test_a_member_pays_from_its_first_to_its_last_microsecond() -> None:
    assert paying_intervals(SESSION, SPAN, 30.0) == PayingIntervals((5_000_000, 20_000_000), (20_000_000, 50_000_000))
    assert paying_intervals(SESSION, WARM_UP, 30.0) == PayingIntervals((0, 0), (0, 40_000_000))
    early = replace(SPAN, began=1.0, ended=2.0)
    assert paying_intervals(SESSION, early, 30.0) == PayingIntervals((1_000_000, 2_000_000), (2_000_000, 40_000_000))


def test_stored_sessions_and_spans_name_the_version_of_their_document() -> None:
    assert (SESSION.to_document("open")["kind"], SESSION.to_document("open")["v"]) == ("session", 1)
    assert (SPAN.to_document()["kind"], SPAN.to_document()["v"]) == ("span", 1)

"""Does one more instance start when the time of the turns in line is worth its price, and not before?"""

from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState
from domain.fleet.instances.further import FurtherInstance
from domain.fleet.instances.several import with_further
from domain.fleet.load import Load, QueuePlace
from domain.routing.estimates import Demand
from domain.routing.further_rule import FurtherVerdict, Line, further_verdict
from domain.routing.queueing import QueuedTurn
from domain.routing.rent_or_buy import Rule, session_price
from domain.routing.router import route
from tests.domain.fleet.instances.test_lease import NOW, UP
from tests.domain.fleet.instances.test_several import THREE
from tests.domain.fleets import ATTEMPT_LIMITS, fleet

BUSY = replace(UP, speed=replace(UP.speed, service_s=40.0), warmth=replace(UP.warmth, warm_until=NOW + 500))
TURN = QueuedTurn(response="mine", input_tokens=500, admitted_at=NOW, hold_s=10)
PRICE = session_price(THREE.price, BUSY.start_times.p50_s)
A_DAY = 86_400.0


def verdict(
    before: int, state: BackendState = BUSY, *, left_s: float = A_DAY, turn: QueuedTurn = TURN, rule: Rule | None = None
) -> FurtherVerdict | None:
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500)
    (found,) = route(demand, fleet(replace(THREE, model="small")), {THREE.name: state}, NOW).candidates
    line = {f"turn {number}": QueuePlace(NOW - 10, NOW + 60) for number in range(before)}
    return further_verdict(
        found,
        replace(state, load=Load(queue_places=line)),
        THREE,
        turn,
        now=NOW,
        time_value=Decimal("0.0002"),
        left_s=left_s,
        rule=rule or Rule(),
    )


def test_a_short_line_starts_nothing_and_a_long_one_does() -> None:
    short, long = verdict(2), verdict(400)
    assert short
    assert long
    assert (short.starts, long.starts) == (False, True)
    assert short.saved < PRICE <= long.saved
    assert "are below the price" in short.reason
    assert "reach the price" in long.reason
    assert Decimal(long.to_document()["price_usd"]) == PRICE


@given(st.integers(0, 600), st.integers(0, 600))
def test_more_turns_in_line_never_save_less(some: int, more: int) -> None:
    less, rest = verdict(min(some, more)), verdict(max(some, more))
    assert less
    assert rest
    assert less.saved <= rest.saved


def test_the_multiple_of_the_rule_is_that_of_the_price() -> None:
    dear = verdict(400, rule=Rule(threshold=2.5))
    assert dear
    assert dear.price == Decimal("2.5") * PRICE


def test_a_turn_that_would_miss_its_deadline_starts_one_more_instance() -> None:
    for left_s, starts in ((A_DAY, False), (100.0, True), (1.0, False)):
        found = verdict(10, left_s=left_s)
        assert found
        assert found.starts is starts, (left_s, found)


def test_neither_a_line_of_a_batch_nor_a_full_schedule_asks() -> None:
    assert verdict(400, turn=replace(TURN, is_deferrable=True)) is None
    both = tuple(FurtherInstance(by=name, since=NOW, is_set=True) for name in ("one", "two"))
    assert verdict(400, with_further(BUSY, both)) is None


@pytest.mark.parametrize("instances", [1, 2, 5])
def test_a_turn_waits_less_with_one_more_instance_only_after_its_start(instances: int) -> None:
    line = Line(turn_s=10.0, instances=instances, start_s=30.0)
    for place in range(200):
        with_more = line.wait_s(place) - line.saved_s(place)
        if line.wait_s(place) <= 30.0:
            assert with_more == line.wait_s(place)
        else:
            served_s = (with_more - 30.0) * (instances + 1) + 30.0 * instances
            assert served_s == pytest.approx((place + 1) * 10.0)

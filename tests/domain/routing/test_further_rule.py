"""Does one more instance start when the time of the turns in line is worth its price, and not before?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import FurtherInstance
from domain.fleet.instances.several import with_further
from domain.fleet.load import Load, QueuePlace
from domain.money.prices import TokenPrice
from domain.routing.estimates import Demand
from domain.routing.further_rule import FurtherTerms, FurtherVerdict, Line, further_verdict, overflow
from domain.routing.queueing import QueuedTurn
from domain.routing.rent_or_buy import Rule, session_price
from domain.routing.router import route
from tests.domain.fleet.instances.test_lease import NOW, UP
from tests.domain.fleet.instances.test_several import ROOM, THREE
from tests.domain.fleets import API, ATTEMPT_LIMITS, backend, fleet

BUSY = replace(UP, speed=replace(UP.speed, service_s=40.0), warmth=replace(UP.warmth, warm_until=NOW + 500))
TURN = QueuedTurn(response="mine", input_tokens=500, admitted_at=NOW, hold_s=10)
PRICE = session_price(THREE.price, BUSY.start_times.p50_s)
TIME_VALUE = Decimal("0.0002")
A_DAY = 86_400.0


def verdict(
    before: int,
    state: BackendState = BUSY,
    *,
    left_s: float = A_DAY,
    turn: QueuedTurn = TURN,
    rule: Rule | None = None,
    spent: str = "0",
    of: Backend = THREE,
    claim: int = 0,
) -> FurtherVerdict | None:
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500)
    (found,) = route(demand, fleet(replace(of, model="small")), {of.name: state}, NOW).candidates
    line = {f"turn {number}": QueuePlace(NOW - 10, NOW + 60, 1, claim) for number in range(before)}
    return further_verdict(
        found,
        replace(state, load=Load(queue_places=line)),
        of,
        turn,
        FurtherTerms(now=NOW, time_value=TIME_VALUE, left_s=left_s, rule=rule or Rule(), spent=Decimal(spent)),
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


def test_a_line_that_waits_for_kv_memory_counts_as_one_that_waits_for_places() -> None:
    """Eight requests fill the memory of an instance that has 500 places."""
    wide = replace(THREE, limits=replace(THREE.limits, concurrency=500))
    full = replace(wide, limits=replace(wide.limits, kv_tokens=8000))
    roomy, tight = verdict(400, of=wide, claim=1008), verdict(400, of=full, claim=1008)
    assert roomy
    assert tight
    assert (roomy.more, tight.more) == (0, THREE.max_instances - 1)
    assert "have room for all" in roomy.reason
    assert "reach the price" in tight.reason


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


def test_what_turns_lost_at_other_backends_pays_for_one_more_instance() -> None:
    (short, full) = verdict(2), verdict(2, spent=f"{PRICE}")
    assert short
    assert full
    assert (short.more, full.more) == (0, 1)
    assert "lost at other backends" in full.reason
    assert full.to_document()["spent_usd"] == f"{PRICE}"


@given(st.integers(1, 60), st.decimals("0", "1", places=4), st.booleans())
def test_no_more_start_than_the_turns_need_or_may_run(line: int, spent: Decimal, is_set: bool) -> None:  # noqa: FBT001
    others = (FurtherInstance(by="one", since=NOW, is_set=True),) if is_set else ()
    found = verdict(line, with_further(BUSY, others), spent=f"{spent}")
    assert found
    assert found.starts == (found.saved + found.spent >= found.price or "deadline" in found.reason)
    assert 1 + len(others) + found.more <= THREE.max_instances


def test_a_turn_counts_for_the_next_instance_of_a_full_gpu_only_where_it_would_have_been_better() -> None:
    full = replace(BUSY, load=Load(in_flight={f"attempt {number}": NOW + 60 for number in range(ROOM)}))
    assert overflow_of(full) == {"gpu#1": Decimal("0.001")}
    assert overflow_of(BUSY) == {}
    assert overflow_of(full, api=replace(API, input=Decimal(0), output=Decimal(0))) == {}
    starting = (FurtherInstance(by="one", since=NOW, is_set=True),)
    assert overflow_of(with_further(full, starting)) == {}


def overflow_of(state: BackendState, *, api: TokenPrice = API) -> Mapping[str, Decimal]:
    hosted = replace(backend("api", price="api"), price=api)
    known = fleet(replace(THREE, model="small"), hosted)
    demand = Demand(attempt_limits=ATTEMPT_LIMITS, input_tokens=500, output_tokens=500, time_value=TIME_VALUE)
    decision = route(demand, known, {THREE.name: state}, NOW)
    terms = FurtherTerms(now=NOW, time_value=TIME_VALUE, left_s=A_DAY)
    return overflow(decision, known.backends, {THREE.name: state}, terms)


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

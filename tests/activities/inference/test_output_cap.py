"""What does an attempt with less output cost at most, and how long may it run?"""

from copy import replace
from decimal import Decimal

import pytest

from activities.inference.output_cap import smaller_reservations, with_output
from activities.inference.task import AttemptTask
from domain.fleet.catalog import ColdStart
from domain.fleet.learned_speed import LearnedSpeed
from domain.ids import member_id
from domain.money.costing import worst_token_cost
from domain.money.prices import TimePrice
from domain.routing.estimates import LEAST_WORST_S
from domain.turns.response import Response, ResponseOptions, Sampling
from tests.domain.fleets import GPU
from tests.fakes.worlds import OWNER, PRICE, THREAD, backend

SPEED = LearnedSpeed(prefill_tokens_s=1000, decode_tokens_s=50)


def task(
    *, limit: int | None = None, price: TimePrice | None = None, scales: bool = False, limit_s: float = 400
) -> AttemptTask:
    sampling = Sampling(max_output_tokens=limit)
    response = Response(
        id=member_id("resp", thread=THREAD, token="b" * 24),
        owner=OWNER,
        created_at=0.0,
        deadline_at=600.0,
        options=ResponseOptions(model="model", sampling=sampling),
    )
    one = replace(backend("main"), price=price or PRICE, cold_start=ColdStart(scales_to_zero=scales))
    worst = Decimal(40) if price else worst_token_cost(PRICE, input_tokens=100, output=800)
    return AttemptTask(
        owner=OWNER,
        response=response,
        number=1,
        backend=one,
        worst_cost=worst,
        output_tokens=800,
        retries=0,
        has_alternative=False,
        limit_s=limit_s if price else None,
    )


def test_a_reservation_is_halved_down_to_the_least() -> None:
    found = list(smaller_reservations(task(), least=150, speed=SPEED))
    assert [each.output_tokens for each in found] == [400, 200, 150]
    assert [each.worst_cost for each in found] == [
        worst_token_cost(PRICE, input_tokens=100, output=tokens) for tokens in (400, 200, 150)
    ]


@pytest.mark.parametrize("least", [800, 900])
def test_there_is_nothing_below_the_least(least: int) -> None:
    assert list(smaller_reservations(task(), least=least, speed=SPEED)) == []


def test_a_limit_of_the_caller_is_reserved_as_a_whole() -> None:
    assert list(smaller_reservations(task(limit=800), least=100, speed=SPEED)) == []


def test_on_a_machine_less_output_is_less_time() -> None:
    less = with_output(task(price=GPU), 300, decode_tokens_s=10)
    assert (less.limit_s, less.output_tokens) == (300, 300)
    assert less.worst_cost <= Decimal(40)


def test_the_price_of_a_call_is_reserved_beside_its_time() -> None:
    price = replace(GPU, request=Decimal("0.5"))
    less = with_output(task(price=price), 300, decode_tokens_s=10)
    assert less.worst_cost == with_output(task(price=GPU), 300, decode_tokens_s=10).worst_cost + price.request


def test_the_least_time_of_an_attempt_stays() -> None:
    assert with_output(task(price=GPU), 10, decode_tokens_s=1).limit_s == LEAST_WORST_S
    assert with_output(task(price=GPU, limit_s=20), 10, decode_tokens_s=1).limit_s == 20


def test_the_worst_case_of_a_gpu_session_is_left_to_the_session() -> None:
    assert with_output(task(price=GPU, scales=True), 300, decode_tokens_s=10).worst_cost == Decimal(40)

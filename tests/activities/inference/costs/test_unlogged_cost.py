"""What does a run cost beyond its text in the log?"""

from copy import replace
from decimal import Decimal

import pytest

from activities.inference.attempt_meter import AttemptMeter
from clients.backends.port import TextPiece
from domain.log.events import TokenUsage
from domain.money.prices import Price
from tests.activities.inference.attempts import attempt_record
from tests.domain.fleets import GPU
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import PRICE

RECORD = attempt_record(prompt_tokens=7)


def meter(*, pieces: int, usage: TokenUsage | None = None, price: Price = PRICE) -> AttemptMeter:
    made = AttemptMeter(FakeClock(), price=price, record=RECORD, earlier=())
    made.count([TextPiece(text="x")] * pieces)
    made.usage = usage
    return made


def dollars(*, output: int) -> Decimal:
    return PRICE.output * output / 1_000_000


@pytest.mark.parametrize(
    ("pieces", "logged", "largest", "output"),
    [(90, 40, 10, 30), (90, 40, 4, 34), (56, 40, 8, 0), (57, 40, 8, 1), (90, 90, 9, 0), (90, 0, 0, 74), (0, 0, 0, 0)],
)
def test_pieces_beyond_the_log_and_the_margin_cost_extra(pieces: int, logged: int, largest: int, output: int) -> None:
    assert meter(pieces=pieces).unlogged_cost(logged, largest) == dollars(output=output)


def test_the_backends_own_count_goes_before_the_pieces() -> None:
    usage = TokenUsage(input_tokens=100, cached_tokens=40, output_tokens=60)
    assert meter(pieces=90, usage=usage).unlogged_cost(4, 4) == dollars(output=40)
    few = replace(usage, output_tokens=3)
    assert meter(pieces=90, usage=few).unlogged_cost(4, 4) == 0


def test_a_machine_that_is_billed_by_time_has_no_tokens_to_add() -> None:
    assert meter(pieces=9, price=GPU).unlogged_cost(0, 0) == 0

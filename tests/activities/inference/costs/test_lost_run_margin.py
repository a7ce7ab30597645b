"""What is charged for runs that died, beyond their text in the log?"""

from copy import replace
from decimal import Decimal

import pytest

from activities.inference.attempt_meter import AttemptMeter, close_record_from_log
from activities.inference.lost_runs import unseen_work
from clients.backends.port import AnswerEnd
from domain.log.events import AttemptOutcome, Slot, TokenUsage
from domain.money.costing import BackendWork
from domain.money.ledger_records import AttemptProgress, AttemptRecord
from tests.activities.inference.attempts import attempt_record
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import PRICE

RECORD = attempt_record(prompt_tokens=40)
USAGE = TokenUsage(input_tokens=1000, output_tokens=50)


def run_by(writer: str, *pieces: int, prediction: str = "") -> list[Slot]:
    return [
        Slot(number=n, writer=writer, first=n, at=1.0, pieces=each, prediction=prediction)
        for n, each in enumerate(pieces)
    ]


@pytest.mark.parametrize(
    ("died", "runs", "prompt", "output"),
    [
        ([], 0, 0, 0),
        (run_by("one", 0, 3, 5), 1, 0, 16),
        (run_by("one", 0, 90, 250, 40), 1, 0, 500),
        (run_by("one", 0), 1, 40, 16),
        ([], 2, 80, 32),
        ([*run_by("one", 0, 20), *run_by("two", 0), *run_by("three", 0, 9)], 3, 40, 74),
        (run_by("one", 0, 20, prediction="p-1"), 1, 0, 0),
    ],
)
def test_a_run_that_died_may_have_used_two_slots_more(died: list[Slot], runs: int, prompt: int, output: int) -> None:
    expected = BackendWork(input_tokens=prompt, output_tokens=output)
    assert unseen_work(RECORD, died, runs=runs) == expected


def delivered(times: int, reserved: Decimal = Decimal(1)) -> AttemptRecord:
    return replace(RECORD, progress=AttemptProgress(deliveries=times), charge=replace(RECORD.charge, reserved=reserved))


def cost(tokens_in: int, tokens_out: int) -> Decimal:
    return (PRICE.input * tokens_in + PRICE.output * tokens_out) / 1_000_000


def test_a_run_pays_for_the_margin_of_those_that_died_before_it() -> None:
    meter = AttemptMeter(FakeClock(), price=PRICE, record=delivered(3), earlier=run_by("one", 0, 20))
    meter.end(AnswerEnd(reason="stop", usage=USAGE))
    closed = meter.close_record("done", "")
    assert closed.progress.usage == replace(USAGE, input_tokens=2000, output_tokens=70)
    assert closed.charge.cost == cost(2000 + 40, 70 + 40 + 16)


def test_the_margin_never_exceeds_what_is_reserved() -> None:
    known = cost(2000, 70)
    for reserved in (known + Decimal("0.000001"), known / 2):
        record = delivered(3, reserved)
        meter = AttemptMeter(FakeClock(), price=PRICE, record=record, earlier=run_by("one", 0, 20))
        meter.end(AnswerEnd(reason="stop", usage=USAGE))
        assert meter.close_record("done", "").charge.cost == max(known, reserved)


def test_a_lost_attempt_is_closed_with_the_margin_of_its_last_run() -> None:
    closed = close_record_from_log(delivered(1), run_by("one", 0, 20, 30), price=PRICE)
    assert closed.charge.cost == cost(40, 50 + 60)
    silent = close_record_from_log(delivered(1), run_by("one", 0), price=PRICE)
    assert silent.charge.cost == cost(40, 16)


def test_a_run_whose_end_is_in_the_log_has_no_margin() -> None:
    ending = AttemptOutcome(attempt=1, result="done", usage=USAGE, counted=USAGE)
    slots = [*run_by("one", 0, 20), Slot(number=2, writer="one", first=2, at=1.0, pieces=30, outcome=ending)]
    assert close_record_from_log(delivered(1), slots, price=PRICE).charge.cost == cost(1000, 50)

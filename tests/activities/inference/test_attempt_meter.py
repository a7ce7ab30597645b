"""Is the usage of an attempt measured once, and charged at its price?"""

import math
from collections.abc import Sequence
from copy import replace
from decimal import Decimal

import pytest

from activities.inference.attempt_meter import AttemptMeter, close_record, close_record_from_log, slots_of_attempt
from activities.inference.lost_runs import LEAST_TOKENS
from clients.backends.port import AnswerEnd, TextPiece
from domain.log.events import AttemptOutcome, Slot, TokenUsage
from domain.money.attempt_charge import AttemptCharge, AttemptStatus
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import PriceComponent, PriceKind, PriceSource, TimePrice
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import PRICE

GPU = TimePrice(
    name="gpu",
    origin=PriceSource(source="a test", date="2026-11-01", region="nowhere"),
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="gpu", amount=Decimal("0.001"), count=Decimal(1)),),
    per_s=1,
    granularity_ms=100,
    minimum_s=0.0,
    idle_s=0.0,
    bills_cold=True,
)
WORD = TextPiece(text="word")
USAGE = TokenUsage(input_tokens=1000, cached_tokens=200, output_tokens=50)


BY_TIME = TimePrice(
    name="by-time",
    origin=PRICE.origin,
    kind=PriceKind.PER_SECOND,
    components=(PriceComponent(name="machine", amount=Decimal("0.01"), count=Decimal(1)),),
    per_s=1,
    granularity_ms=1,
)


def attempt(clock: FakeClock) -> AttemptRecord:
    return AttemptRecord(
        response="resp_1",
        subject="user:1",
        number=1,
        backend="main",
        price=PRICE.name,
        started_at=clock.now(),
        charge=AttemptCharge(reserved=Decimal(1)),
    )


def measured(clock: FakeClock) -> AttemptMeter:
    """Return the meter of a run whose first word took 2 s and whose text took 3 s."""
    meter = AttemptMeter(clock, price=PRICE, record=attempt(clock), earlier=())
    meter.count([])
    clock.advance(2)
    meter.count([WORD, WORD])
    clock.advance(3)
    meter.count([WORD, AnswerEnd(reason="stop", usage=None)])
    return meter


def test_the_first_token_is_the_first_piece_of_text() -> None:
    meter = measured(FakeClock())
    assert (meter.first_token_s, meter.pieces) == (2.0, 3)
    assert AttemptMeter(FakeClock(), price=PRICE, record=attempt(FakeClock()), earlier=()).first_token_s is None


def test_a_run_with_text_and_counts_gives_an_observation() -> None:
    meter = measured(FakeClock())
    assert meter.observation() is None
    meter.usage = USAGE
    observation = meter.observation()
    assert observation is not None
    assert observation.first_token_at - observation.started_at == 2.0
    assert observation.ended_at - observation.first_token_at == 3.0
    assert (observation.input_tokens, observation.cached_tokens, observation.output_tokens) == (1000, 200, 50)
    assert observation.cold_s is None


def test_a_run_without_text_gives_no_observation() -> None:
    clock = FakeClock()
    meter = AttemptMeter(clock, price=PRICE, record=attempt(clock), earlier=())
    meter.usage = USAGE
    assert meter.observation() is None


def test_tokens_are_charged_as_the_backend_counted_them() -> None:
    meter = measured(FakeClock())
    meter.usage = USAGE
    closed = meter.close_record("done", "")
    assert closed.charge.status is AttemptStatus.CLOSED
    assert closed.charge.cost == (Decimal(800) * 1 + Decimal(200) * Decimal("0.5") + Decimal(50) * 2) / 1_000_000


def test_without_the_backends_counts_each_piece_is_a_token() -> None:
    closed = measured(FakeClock()).close_record("wait", "reset")
    assert closed.progress.usage == TokenUsage(output_tokens=3)
    assert (closed.progress.result, closed.progress.reason) == ("wait", "reset")


def test_an_interrupted_run_with_text_is_charged_for_its_prompt() -> None:
    clock = FakeClock()
    record = replace(attempt(clock), prompt_tokens=700)
    silent, interrupted = (AttemptMeter(clock, price=PRICE, record=record, earlier=()) for _ in range(2))
    interrupted.count([WORD, WORD])
    assert interrupted.close_record("ended", "").progress.usage == TokenUsage(input_tokens=700, output_tokens=2)
    assert silent.close_record("ended", "").progress.usage == TokenUsage()


def test_the_first_token_of_an_earlier_delivery_is_kept() -> None:
    clock = FakeClock()
    meter = measured(clock)
    meter.record = replace(meter.record, progress=replace(meter.record.progress, first_token_at=1.5))
    assert meter.close_record("done", "").progress.first_token_at == 1.5


def test_time_is_charged_from_the_first_start_to_the_end() -> None:
    clock = FakeClock()
    record = attempt(clock)
    closed = close_record(record, clock.now() + 7.25, price=GPU, requests=1, result="done", reason="")
    assert closed.charge.cost == Decimal("0.0073")
    assert close_record(record, clock.now() - 5, price=GPU, requests=1, result="done", reason="").charge.cost == 0


def slot(number: int, *, writer: str, pieces: int, at: float, outcome: AttemptOutcome | None = None) -> Slot:
    return Slot(number=number, writer=writer, first=number, at=at, pieces=pieces, outcome=outcome)


def test_runs_that_died_are_charged_for_their_text_and_their_input() -> None:
    clock = FakeClock()
    now = clock.now()
    earlier = [
        slot(1, writer="first", pieces=3, at=now),
        slot(2, writer="first", pieces=4, at=now),
        slot(3, writer="second", pieces=0, at=now),
        slot(4, writer="third", pieces=1, at=now),
    ]
    meter = AttemptMeter(clock, price=PRICE, record=attempt(clock), earlier=earlier)
    meter.usage = USAGE
    closed = meter.close_record("done", "")
    assert closed.progress.usage == TokenUsage(input_tokens=3000, cached_tokens=600, output_tokens=58)
    assert closed.charge.cost == Decimal("0.002816") + 2 * PRICE.output * LEAST_TOKENS / 1_000_000
    ending = AttemptOutcome(attempt=1, result="done", usage=TokenUsage(output_tokens=99), counted=USAGE)
    slots = [*earlier, slot(5, writer="fourth", pieces=9, at=now, outcome=ending)]
    assert close_record_from_log(attempt(clock), slots, price=PRICE).progress.usage == closed.progress.usage


@pytest.mark.parametrize(
    ("predictions", "dollars"),
    [((), "0.02"), (("",), "0.12"), (("p-1",), "0.02")],
)
def test_time_is_billed_by_the_provider_s_own_figure(predictions: Sequence[str], dollars: str) -> None:
    """An earlier run was a call of its own, unless both read one prediction."""
    clock = FakeClock()
    record = attempt(clock)
    earlier = [
        replace(slot(number, writer="first", pieces=1, at=clock.now()), prediction=prediction)
        for number, prediction in enumerate(predictions, 1)
    ]
    clock.advance(10)
    meter = AttemptMeter(clock, price=BY_TIME, record=record, earlier=earlier)
    meter.start_call()
    clock.advance(5)
    meter.end(AnswerEnd(reason="stop", usage=None, billed_s=2.0))
    assert meter.close_record("done", "").charge.cost == Decimal(dollars)


@pytest.mark.parametrize(
    ("billed_s", "dollars"),
    [
        (0.0, "0"),
        (65.0, "0.65"),
        (65.1, "0.05"),
        (1e12, "0.05"),
        (math.inf, "0.05"),
        (math.nan, "0.05"),
        (-1.0, "0.05"),
    ],
)
def test_an_absurd_figure_of_the_provider_is_not_billed(billed_s: float, dollars: str) -> None:
    clock = FakeClock()
    meter = AttemptMeter(clock, price=BY_TIME, record=attempt(clock), earlier=())
    meter.start_call()
    clock.advance(5)
    meter.end(AnswerEnd(reason="stop", usage=None, billed_s=billed_s))
    assert meter.close_record("done", "").charge.cost == Decimal(dollars)


def test_a_price_of_time_may_have_one_for_each_answered_call() -> None:
    clock = FakeClock()
    price = replace(BY_TIME, request=Decimal("0.5"))
    meter = AttemptMeter(clock, price=price, record=attempt(clock), earlier=())
    assert meter.close_record("failed", "").charge.cost == 0
    meter.count([WORD])
    clock.advance(3)
    assert meter.close_record("done", "").charge.cost == Decimal("0.53")


def test_the_input_of_runs_that_died_is_charged_though_the_last_run_had_none() -> None:
    clock = FakeClock()
    now, record = clock.now(), replace(attempt(clock), prompt_tokens=40)
    earlier = [slot(1, writer="first", pieces=3, at=now)]
    meter = AttemptMeter(clock, price=PRICE, record=record, earlier=earlier)
    expected = TokenUsage(input_tokens=40, output_tokens=3)
    assert meter.close_record("failed", "").progress.usage == expected
    ending = slot(2, writer="second", pieces=0, at=now, outcome=AttemptOutcome(attempt=1, result="failed"))
    assert close_record_from_log(record, [*earlier, ending], price=PRICE).progress.usage == expected


def test_a_lost_run_is_charged_once_though_another_writer_ended_its_turn() -> None:
    clock = FakeClock()
    now, record = clock.now(), replace(attempt(clock), prompt_tokens=40)
    slots = [slot(1, writer="first", pieces=3, at=now), slot(2, writer="api", pieces=0, at=now)]
    assert close_record_from_log(record, slots, price=PRICE).progress.usage == TokenUsage(
        input_tokens=40, output_tokens=3
    )


def test_an_attempts_slots_follow_the_previous_outcome_even_at_the_same_time() -> None:
    clock = FakeClock()
    now = clock.now()
    slots = [
        slot(0, writer="api", pieces=0, at=now - 1),
        slot(1, writer="infer", pieces=5, at=now),
        slot(2, writer="infer", pieces=0, at=now, outcome=AttemptOutcome(attempt=1, result="handover")),
        slot(3, writer="later", pieces=2, at=now),
    ]
    assert slots_of_attempt(replace(attempt(clock), number=2), slots) == slots[3:]
    assert slots_of_attempt(attempt(clock), slots) == slots[1:]


def test_what_arrived_after_the_last_take_is_charged() -> None:
    meter = measured(FakeClock())
    meter.count_untaken([WORD, WORD], was_cut=False)
    assert meter.close_record("ended", "").progress.usage == TokenUsage(output_tokens=5)


def test_a_final_usage_after_the_last_take_is_what_counts() -> None:
    meter = measured(FakeClock())
    meter.count_untaken([WORD, AnswerEnd(reason="stop", usage=USAGE)], was_cut=True)
    assert meter.close_record("ended", "").progress.usage == USAGE


@pytest.mark.parametrize(("pieces", "margin"), [(3, 0), (1001, 10), (2001, 20), (10_001, 100)])
def test_a_cut_call_is_charged_for_the_tokens_that_are_under_way(pieces: int, margin: int) -> None:
    clock = FakeClock()
    meter = AttemptMeter(clock, price=PRICE, record=attempt(clock), earlier=())
    meter.count([WORD])
    clock.advance(1)
    meter.count([WORD] * (pieces - 1))
    meter.count_untaken([], was_cut=True)
    assert meter.close_record("ended", "").progress.usage == TokenUsage(output_tokens=pieces + margin)


def test_the_margin_of_a_cut_call_is_small_beside_what_arrived() -> None:
    clock = FakeClock()
    meter = AttemptMeter(clock, price=PRICE, record=attempt(clock), earlier=())
    meter.count([WORD])
    clock.advance(0.01)
    meter.count([WORD] * 999)
    meter.count_untaken([], was_cut=True)
    assert meter.margin == 20

"""Is what an attempt used measured once, and charged as its price says?"""

from dataclasses import replace
from decimal import Decimal

from activities.inference.attempt_meter import AttemptMeter, closed_at, closed_from_log, of_attempt
from clients.backends.port import AnswerEnd, TextPiece
from domain.log.events import AttemptOutcome, Slot, TokenUsage
from domain.money.ledger_records import AttemptRecord, AttemptStatus
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


def attempt(clock: FakeClock) -> AttemptRecord:
    return AttemptRecord(
        response="resp_1",
        subject="user:1",
        number=1,
        backend="main",
        price=PRICE.name,
        reserved=Decimal(1),
        started_at=clock.now(),
    )


def measured(clock: FakeClock) -> AttemptMeter:
    """Return the meter of a run that waited 2 s for its first word and spoke for 3 s."""
    meter = AttemptMeter(clock, price=PRICE, record=attempt(clock))
    meter.count([])
    clock.advance(2)
    meter.count([WORD, WORD])
    clock.advance(3)
    meter.count([WORD, AnswerEnd(reason="stop", usage=None)])
    return meter


def test_the_first_word_is_the_first_that_was_said() -> None:
    meter = measured(FakeClock())
    assert (meter.first_token_s, meter.said) == (2.0, 3)
    assert AttemptMeter(FakeClock(), price=PRICE, record=attempt(FakeClock())).first_token_s is None


def test_a_run_teaches_what_it_measured_and_counted() -> None:
    meter = measured(FakeClock())
    assert meter.observation() is None
    meter.usage = USAGE
    seen = meter.observation()
    assert seen is not None
    assert (seen.first_token_at - seen.started_at, seen.ended_at - seen.first_token_at) == (2.0, 3.0)
    assert (seen.input_tokens, seen.cached_tokens, seen.output_tokens, seen.cold_s) == (1000, 200, 50, None)


def test_a_run_that_said_nothing_teaches_nothing() -> None:
    clock = FakeClock()
    meter = AttemptMeter(clock, price=PRICE, record=attempt(clock))
    meter.usage = USAGE
    assert meter.observation() is None


def test_tokens_are_charged_as_the_backend_counted_them() -> None:
    meter = measured(FakeClock())
    meter.usage = USAGE
    closed = meter.closed("done", "")
    assert closed.status is AttemptStatus.CLOSED
    assert closed.cost == (Decimal(800) * 1 + Decimal(200) * Decimal("0.5") + Decimal(50) * 2) / 1_000_000


def test_what_the_backend_did_not_count_is_what_it_said() -> None:
    closed = measured(FakeClock()).closed("wait", "it broke off")
    assert closed.usage == TokenUsage(output_tokens=3)
    assert (closed.result, closed.reason) == ("wait", "it broke off")


def test_a_run_that_is_broken_off_is_charged_for_the_prompt_that_it_read() -> None:
    clock = FakeClock()
    record = replace(attempt(clock), prompt_tokens=700)
    silent, broken = (AttemptMeter(clock, price=PRICE, record=record) for _ in range(2))
    broken.count([WORD, WORD])
    assert broken.closed("ended", "").usage == TokenUsage(input_tokens=700, output_tokens=2)
    assert silent.closed("ended", "").usage == TokenUsage()


def test_the_first_word_of_an_earlier_delivery_stands() -> None:
    clock = FakeClock()
    meter = measured(clock)
    meter.record = replace(meter.record, first_token_at=1.5)
    assert meter.closed("done", "").first_token_at == 1.5


def test_time_is_charged_from_the_first_start_to_the_end() -> None:
    clock = FakeClock()
    record = attempt(clock)
    closed = closed_at(record, clock.now() + 7.25, price=GPU, result="done", reason="")
    assert closed.cost == Decimal("0.0073")
    assert closed_at(record, clock.now() - 5, price=GPU, result="done", reason="").cost == 0


def slot(number: int, *, writer: str, pieces: int, at: float, outcome: AttemptOutcome | None = None) -> Slot:
    return Slot(number=number, writer=writer, first=number, at=at, pieces=pieces, outcome=outcome)


def test_runs_that_died_are_charged_for_what_they_showed_and_for_the_input_that_they_read() -> None:
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
    closed = meter.closed("done", "")
    assert closed.usage == TokenUsage(input_tokens=3000, cached_tokens=600, output_tokens=58)
    assert closed.cost == Decimal("0.002816")
    ending = AttemptOutcome(attempt=1, result="done", usage=TokenUsage(output_tokens=99), counted=USAGE)
    of_the_log = [*earlier, slot(5, writer="fourth", pieces=9, at=now, outcome=ending)]
    assert closed_from_log(attempt(clock), of_the_log, price=PRICE).usage == closed.usage


def test_the_input_of_runs_that_died_is_charged_though_the_last_one_took_none() -> None:
    clock = FakeClock()
    now, record = clock.now(), replace(attempt(clock), prompt_tokens=40)
    earlier = [slot(1, writer="first", pieces=3, at=now)]
    meter = AttemptMeter(clock, price=PRICE, record=record, earlier=earlier)
    expected = TokenUsage(input_tokens=40, output_tokens=3)
    assert meter.closed("failed", "").usage == expected
    ending = slot(2, writer="second", pieces=0, at=now, outcome=AttemptOutcome(attempt=1, result="failed"))
    assert closed_from_log(record, [*earlier, ending], price=PRICE).usage == expected


def test_a_run_that_nobody_saw_end_is_charged_once_though_another_ended_its_turn() -> None:
    clock = FakeClock()
    now, record = clock.now(), replace(attempt(clock), prompt_tokens=40)
    slots = [slot(1, writer="first", pieces=3, at=now), slot(2, writer="api", pieces=0, at=now)]
    assert closed_from_log(record, slots, price=PRICE).usage == TokenUsage(input_tokens=40, output_tokens=3)


def test_an_attempts_slots_follow_the_outcome_of_the_one_before_even_at_the_same_time() -> None:
    clock = FakeClock()
    now = clock.now()
    slots = [
        slot(0, writer="api", pieces=0, at=now - 1),
        slot(1, writer="infer", pieces=5, at=now),
        slot(2, writer="infer", pieces=0, at=now, outcome=AttemptOutcome(attempt=1, result="handover")),
        slot(3, writer="later", pieces=2, at=now),
    ]
    assert of_attempt(replace(attempt(clock), number=2), slots) == slots[3:]
    assert of_attempt(attempt(clock), slots) == slots[1:]

"""Does the trace of a turn show its waits, its warm-ups and the runs that died, each with its own start and end?"""

import asyncio

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from activities.guard import log_and_mask
from domain.log.events import EventKind, LogEvent, Slot
from domain.money.attempt_charge import AttemptCharge
from domain.money.ledger_records import AttemptProgress, AttemptRecord
from telemetry.names import AGENT_SPAN
from telemetry.spans import span
from telemetry.turn import record_lost_runs, span_id, turn_context
from tests.activities.cold_starts import Cluster, cold_gpu, cold_of
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.worlds import PRICE

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
RESPONSE = "resp_" + "a" * 24 + "b" * 24


def id_of(span: ReadableSpan) -> int:
    assert span.context
    return span.context.span_id


def parent_of(span: ReadableSpan) -> int:
    assert span.parent
    return span.parent.span_id


def seconds(span: ReadableSpan) -> float:
    return ((span.end_time or 0) - (span.start_time or 0)) / 1e9


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def test_a_cold_turn_shows_its_warm_up_and_its_wait(spans: InMemorySpanExporter) -> None:
    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 60.0)
        cluster = Cluster(backends={"gpu": (cold_gpu(cold_of(60.0), name="gpu"), gpu)})
        steps = cluster.world.steps
        cluster.world.steps = {name: log_and_mask(name, step) for name, step in steps.items()}
        await cluster.run([await cluster.world.admit("hello", traceparent=TRACEPARENT)])

    in_no_time(story())
    (turn,) = named(spans, AGENT_SPAN)
    (warm_up,), waits = named(spans, "warm_up"), named(spans, "wait")
    assert 59 <= seconds(warm_up) <= 61
    assert 50 <= sum(map(seconds, waits)) <= 60
    assert seconds(turn) >= 60
    assert {parent_of(each) for each in (warm_up, *waits)} == {id_of(turn)}
    assert {str((each.attributes or {})["ganglion.wait.reason"]) for each in waits} == {"start"}
    found = [each.context.trace_id for each in spans.get_finished_spans() if each.context]
    assert {trace.format_trace_id(each) for each in found} == {TRACE}


def slot(number: int, writer: str, at: float) -> Slot:
    text = LogEvent(kind=EventKind.TEXT, text="secret")
    return Slot(number=number, writer=writer, first=number, at=at, events=(text,))


def record(deliveries: int) -> AttemptRecord:
    return AttemptRecord(
        response=RESPONSE,
        subject="user",
        number=2,
        backend="gpu",
        price="price",
        charge=AttemptCharge(reserved=PRICE.input),
        started_at=100.0,
        progress=AttemptProgress(deliveries=deliveries),
    )


def test_runs_that_died_show_from_their_first_to_their_last_sign(spans: InMemorySpanExporter) -> None:
    slots = [slot(3, "first", 101.0), slot(4, "first", 104.0), slot(5, "second", 110.0), slot(6, "third", 120.0)]
    for _ in range(2):
        record_lost_runs(record(3), slots, writer="third", traceparent=TRACEPARENT)
    first, second = sorted(spans.get_finished_spans()[:2], key=lambda span: span.start_time or 0)
    assert (first.start_time, first.end_time) == (100_000_000_000, 104_000_000_000)
    assert (second.start_time, second.end_time) == (110_000_000_000, 110_000_000_000)
    for delivery, each in enumerate((first, second), 1):
        assert parent_of(each) == span_id(RESPONSE)
        assert id_of(each) == span_id(RESPONSE, "attempt", 2, delivery)
        attributes = each.attributes or {}
        assert (attributes["ganglion.attempt.number"], attributes["ganglion.attempt.delivery"]) == (2, delivery)
        assert attributes["error.type"] == "interrupted"
        assert "secret" not in each.to_json()
    assert len({id_of(each) for each in spans.get_finished_spans()}) == 2


def test_a_first_run_that_left_no_sign_shows_its_start(spans: InMemorySpanExporter) -> None:
    record_lost_runs(record(2), [slot(3, "second", 130.0)], writer="second", traceparent=TRACEPARENT)
    (lost,) = spans.get_finished_spans()
    assert (lost.start_time, lost.end_time) == (100_000_000_000, 100_000_000_000)


async def test_steps_at_the_same_time_keep_their_own_ids(spans: InMemorySpanExporter) -> None:
    async def step(number: int) -> None:
        with span("chosen", {}, under=turn_context(TRACEPARENT, RESPONSE), own_id=number):
            await asyncio.sleep(0)
            with span("by chance", {}):
                await asyncio.sleep(0)

    await asyncio.gather(*(step(number) for number in range(1, 5)))
    assert sorted(id_of(each) for each in named(spans, "chosen")) == [1, 2, 3, 4]
    assert len({id_of(each) for each in named(spans, "by chance")} | {1, 2, 3, 4}) == 8


def test_without_a_provider_a_trace_is_passed_on_as_it_came() -> None:
    assert trace.get_current_span(turn_context(TRACEPARENT, RESPONSE)).get_span_context().span_id == 0xB7AD6B7169203331

"""Is what is recorded before the exporters are there kept up to a limit, and passed on once?"""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry.buffers import MeasurementBuffer, SpanBuffer


def test_spans_are_passed_on_once_and_in_order_to_every_processor() -> None:
    buffer, exporters = SpanBuffer(limit=2), [InMemorySpanExporter(), InMemorySpanExporter()]
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(buffer)
    tracer = provider.get_tracer("test")
    for name in ("one", "two", "too many"):
        tracer.start_span(name).end()
    buffer.connect(*(SimpleSpanProcessor(exporter) for exporter in exporters))
    tracer.start_span("later").end()
    for exporter in exporters:
        assert [span.name for span in exporter.get_finished_spans()] == ["one", "two", "later"]
    assert buffer.dropped == 1


def test_measurements_are_kept_between_hold_and_release() -> None:
    buffer, seen = MeasurementBuffer(limit=2), list[float]()

    def record(amount: float, attributes: object) -> None:
        seen.append(amount)

    buffer.record(record, 1, {})
    buffer.hold()
    for amount in (2, 3, 4):
        buffer.record(record, amount, {})
    assert seen == [1]
    buffer.release()
    buffer.record(record, 5, {})
    assert (seen, buffer.dropped) == ([1, 2, 3, 5], 1)

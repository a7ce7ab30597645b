"""Where do the tests see the spans and the metrics of their process?"""

import logging
from collections.abc import Iterator

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from telemetry.spans import tracing


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = tracing.tracer, tracing.is_on
    tracing.use(provider)
    yield exporter
    tracing.tracer, tracing.is_on = before


@pytest.fixture(scope="session")
def measured() -> Iterator[InMemoryMetricReader]:
    """Instruments find their provider once in a process, so it is one for all tests."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    yield reader
    provider.shutdown()


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the lines of turns and requests: at start the app lets them through."""
    caplog.set_level(logging.INFO, logger="ganglion")

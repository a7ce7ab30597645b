"""How does what the app records reach its exporters without a slower start?

The providers are set at once. A thread imports the exporters, connects them and then passes on what was recorded
meanwhile.
"""

import atexit
import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Self, cast

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from telemetry import names
from telemetry.buffers import SpanBuffer, measurements
from telemetry.chat import conventions
from telemetry.destinations import ExportDestination, destinations, metric_readers, span_processors
from telemetry.log_records import stamp_log_records
from telemetry.spans import tracing

logger = logging.getLogger("ganglion.telemetry")

TALKATIVE = ("httpx", "httpx2", "azure")
"""Loggers that tell the address of each request they make."""

INDISCREET = "mcp"
"""A logger that tells the ids of sessions, and parts of answers that it cannot read."""


def set_up(choice: str, environment: Mapping[str, str]) -> Thread | None:
    """Set the providers and return the thread that connects their exporters. Call once, at start.

    Where the worker or a distribution has set a provider, that one is used as it is.
    """
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(INDISCREET).setLevel(logging.CRITICAL)
    logging.getLogger(names.SERVICE).setLevel(logging.INFO)
    stamp_log_records()
    conventions.choose(environment.get(names.OPT_IN_VARIABLE, ""))
    found = () if is_provided() else destinations(choice, environment)
    thread = provide(found, environment) if found else None
    tracing.use(trace.get_tracer_provider())
    return thread


def is_provided() -> bool:
    """Tell whether other code has set the provider of spans."""
    return isinstance(trace.get_tracer_provider(), TracerProvider)


def provide(found: Sequence[ExportDestination], environment: Mapping[str, str]) -> Thread:
    named = bool(environment.get("OTEL_SERVICE_NAME")) or "service.name=" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = SteadyResource.of(Resource.create({} if named else {"service.name": names.SERVICE}))
    spans, tracers, meters = SpanBuffer(), TracerProvider(resource=resource), MeterProvider(resource=resource)
    tracers.add_span_processor(spans)
    measurements.hold()
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)
    thread = Thread(target=connect, args=(found, environment, spans, meters), name="telemetry")
    thread.start()
    return thread


class SteadyResource(Resource):
    """A resource whose hash is computed once: the exporter asks for it with each span, and the SDK makes JSON then."""

    @classmethod
    def of(cls, found: Resource) -> Self:
        made = cls(found.attributes, found.schema_url)
        made.hash = hash(found)
        return made

    hash = 0

    def __hash__(self) -> int:
        return self.hash


def connect(
    found: Sequence[ExportDestination], environment: Mapping[str, str], spans: SpanBuffer, meters: MeterProvider
) -> None:
    """Import the exporters and connect them. A fault of an exporter costs telemetry, and nothing else."""
    try:
        processors, readers = span_processors(found, environment), metric_readers(found)
    except Exception as error:  # noqa: BLE001 - the one broad except of this thread
        logger.error("telemetry is not sent: %s: %s", type(error).__name__, error)  # noqa: TRY400 - no traceback for operators
        processors, readers = [], []
    for reader in readers:
        meters.add_metric_reader(reader)
        # the provider itself flushes only the readers that it was built with
        atexit.register(cast("Callable[[], None]", reader.shutdown))  # pyright: ignore[reportUnknownMemberType]
    spans.connect(*processors)
    measurements.release()

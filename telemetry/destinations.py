"""Where does the environment send spans and metrics, and which exporter does each destination need?

The exporters are imported here and nowhere else, late: they take 0.5 s (OTLP) to 2.5 s (Azure Monitor).
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from msgspec import Struct
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

logger = logging.getLogger("ganglion.telemetry")

AZURE_MONITOR = "azure.monitor.opentelemetry.exporter"
CONNECTION_STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OTLP_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"
HTTP_PROTOBUF = "http/protobuf"

EXPORTER_MISSING = (
    f"{CONNECTION_STRING} is set, but the package has no exporter for it, so the app sends no spans and no metrics to"
    " Application Insights. Install requirements-azure-monitor.txt instead of requirements.txt, or set"
    f" {OTLP_ENDPOINT}. docs/operations.md, Telemetry, has the steps."
)

SPAN_DELAY_MS = 1000
"""How long an ended span waits for others, unless OTEL_BSP_SCHEDULE_DELAY says otherwise: a killed worker loses it."""

CONSOLE_METRICS_MS = 10_000


class ExportDestination(Struct, frozen=True, kw_only=True):
    """Builds the exporters of one destination; None where the destination takes no spans or no metrics."""

    span_exporter: Callable[[], SpanExporter] | None
    metric_exporter: Callable[[], MetricExporter] | None
    metric_interval_ms: float | None = None


def destinations(choice: str, environment: Mapping[str, str]) -> Sequence[ExportDestination]:
    """Return where telemetry goes: the setting `console`, or what OpenTelemetry's and Azure's own variables name."""
    if choice == "console":
        return (
            ExportDestination(
                span_exporter=console_spans, metric_exporter=console_metrics, metric_interval_ms=CONSOLE_METRICS_MS
            ),
        )
    if choice == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return ()
    found = (otlp(environment), azure_monitor(environment))
    return tuple(each for each in found if each)


def otlp(environment: Mapping[str, str]) -> ExportDestination | None:
    """Return the OTLP receiver that the standard variables name for spans, for metrics or for both."""
    spans, metrics = (sends_otlp(environment, signal) for signal in ("TRACES", "METRICS"))
    if not spans and not metrics:
        return None
    return ExportDestination(
        span_exporter=otlp_spans if spans else None,
        metric_exporter=otlp_metrics if metrics else None,
    )


def sends_otlp(environment: Mapping[str, str], signal: str) -> bool:
    """Tell whether an OTLP endpoint takes the signal. One that speaks gRPC alone is named in a warning."""
    endpoint = environment.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environment.get(OTLP_ENDPOINT)
    exporters = (environment.get(f"OTEL_{signal}_EXPORTER") or "otlp").split(",")
    if not endpoint or "otlp" not in [each.strip() for each in exporters]:
        return False
    name = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
    protocol = environment.get(name) or environment.get(OTLP_PROTOCOL) or HTTP_PROTOBUF
    if protocol != HTTP_PROTOBUF:
        variable = name if environment.get(name) else OTLP_PROTOCOL
        logger.warning("%s: expected %s, found %r; no telemetry is sent there", variable, HTTP_PROTOBUF, protocol)
    return protocol == HTTP_PROTOBUF


def azure_monitor(environment: Mapping[str, str]) -> ExportDestination | None:
    if not environment.get(CONNECTION_STRING):
        return None
    if not is_installed(AZURE_MONITOR):
        logger.warning(EXPORTER_MISSING)
        return None
    return ExportDestination(span_exporter=azure_monitor_spans, metric_exporter=azure_monitor_metrics)


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported, without importing it."""
    parts = package.split(".")
    names = (".".join(parts[: end + 1]) for end in range(len(parts)))
    try:
        return all(find_spec(name) for name in names)
    except ModuleNotFoundError:
        return False


def span_processors(found: Iterable[ExportDestination], environment: Mapping[str, str]) -> list[BatchSpanProcessor]:
    """Import the exporters of spans; return a processor for each."""
    delay_ms = None if environment.get("OTEL_BSP_SCHEDULE_DELAY") else SPAN_DELAY_MS
    return [
        BatchSpanProcessor(each.span_exporter(), schedule_delay_millis=delay_ms) for each in found if each.span_exporter
    ]


def metric_readers(found: Iterable[ExportDestination]) -> list[PeriodicExportingMetricReader]:
    """Import the exporters of metrics; return a reader for each."""
    return [
        PeriodicExportingMetricReader(each.metric_exporter(), export_interval_millis=each.metric_interval_ms)
        for each in found
        if each.metric_exporter
    ]


def one_line(span: ReadableSpan) -> str:
    return span.to_json(indent=None) + "\n"


def console_spans() -> SpanExporter:
    return ConsoleSpanExporter(formatter=one_line)


def console_metrics() -> MetricExporter:
    return ConsoleMetricExporter(formatter=lambda data: data.to_json(indent=None) + "\n")


def otlp_spans() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see the top

    return OTLPSpanExporter()


def otlp_metrics() -> MetricExporter:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - see the top

    return OTLPMetricExporter()


def azure_monitor_spans() -> SpanExporter:
    exporter: Any = import_module(AZURE_MONITOR)
    return exporter.AzureMonitorTraceExporter()


def azure_monitor_metrics() -> MetricExporter:
    exporter: Any = import_module(AZURE_MONITOR)
    return exporter.AzureMonitorMetricExporter()

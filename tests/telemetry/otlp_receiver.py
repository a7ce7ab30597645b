"""What does an OTLP receiver get over HTTP? A small one that decodes and keeps everything."""

import gzip
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

type Value = str | int | float | bool | tuple[Any, ...]

REQUESTS: Mapping[str, type[Message]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}
INFLATE = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenSpan:
    """A span as the receiver got it. Ids are hexadecimal, times are seconds since the epoch."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start: float
    end: float
    attributes: Mapping[str, Value]
    resource: Mapping[str, Value]
    is_error: bool
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPoint:
    """A data point of a metric: a number, or the sum, the count and the highest value of a histogram."""

    metric: str
    unit: str
    kind: str
    attributes: Mapping[str, Value]
    value: float
    count: int
    highest: float


@dataclass(slots=True)
class Receiver:
    """Everything that was received since the start."""

    url: str
    bodies: list[bytes] = field(default_factory=list[bytes])
    traces: list[Any] = field(default_factory=list[Any])
    metrics: list[Any] = field(default_factory=list[Any])

    def spans(self) -> list[SeenSpan]:
        return [
            seen_span(span, attributes_of(group.resource))
            for request in tuple(self.traces)
            for group in request.resource_spans
            for scope in group.scope_spans
            for span in scope.spans
        ]

    def points(self) -> list[SeenPoint]:
        return [
            point
            for request in tuple(self.metrics)
            for group in request.resource_metrics
            for scope in group.scope_metrics
            for metric in scope.metrics
            for point in points_of(metric)
        ]


def attributes_of(holder: Any) -> dict[str, Value]:
    return {each.key: value_of(each.value) for each in holder.attributes}


def value_of(value: Any) -> Value:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(value_of(each) for each in value.array_value.values)
    return getattr(value, kind)


def seen_span(span: Any, resource: Mapping[str, Value]) -> SeenSpan:
    return SeenSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        attributes=attributes_of(span),
        resource=resource,
        is_error=span.status.code == 2,
        error=span.status.message,
    )


def points_of(metric: Any) -> Iterator[SeenPoint]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        is_histogram = kind == "histogram"
        number = point.sum if is_histogram else getattr(point, point.WhichOneof("value"))
        count = point.count if is_histogram else 1
        yield SeenPoint(
            metric=metric.name,
            unit=metric.unit,
            kind=kind,
            attributes=attributes_of(point),
            value=number,
            count=count,
            highest=point.max if is_histogram else number,
        )


@contextmanager
def receiving() -> Generator[Receiver]:
    """Serve an OTLP receiver on a free port of this machine."""
    receiver = Receiver(url="")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            body = INFLATE.get(self.headers.get("content-encoding", ""), bytes)(body)
            request: Any = REQUESTS[self.path]()
            request.ParseFromString(body)
            receiver.bodies.append(body)
            (receiver.traces if self.path == "/v1/traces" else receiver.metrics).append(request)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

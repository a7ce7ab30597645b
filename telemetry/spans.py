"""How is a turn shown as one trace, from its request to its backend, with ids and never with content?"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from telemetry.names import ERROR_TYPE, SERVICE

type Attributes = Mapping[str, AttributeValue]

NANOS = 1_000_000_000

chosen_id: ContextVar[int | None] = ContextVar("chosen_id", default=None)
"""The id of the span that opens next; None leaves it to chance."""


class ChosenIds:
    """Generates the ids of spans. A span that several processes may show gets an id that all of them can compute."""

    def __init__(self, random_ids: Any) -> None:
        self.random_ids = random_ids

    def generate_trace_id(self) -> int:
        return self.random_ids.generate_trace_id()

    def generate_span_id(self) -> int:
        return chosen_id.get() or self.random_ids.generate_span_id()

    def is_trace_id_random(self) -> bool:
        return self.random_ids.is_trace_id_random()


class Tracing:
    """The tracer of the product. Without a provider of spans it opens none, and passes traces on as they come."""

    def __init__(self) -> None:
        self.tracer: Tracer = trace.get_tracer(SERVICE)
        self.is_on = False

    def use(self, provider: TracerProvider) -> None:
        """Take the tracer of a provider. Only one that records lets us choose ids."""
        tracer: Any = provider.get_tracer(SERVICE)
        self.is_on = hasattr(tracer, "id_generator")
        if self.is_on:
            tracer.id_generator = ChosenIds(tracer.id_generator)
        self.tracer = tracer


tracing = Tracing()


def parent(traceparent: str) -> Context:
    """Return the context that a W3C traceparent names; an empty or malformed one starts a new trace."""
    return propagate.extract({"traceparent": traceparent})


def current_traceparent() -> str:
    """Return the W3C context of the span that is current; empty where none is."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def span(
    name: str,
    attributes: Attributes,
    *,
    under: Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    own_id: int | None = None,
) -> Generator[Span]:
    """Open a span under a context, or under the span that is current; `own_id` replaces the random id.

    The span tells the type of an error that leaves it, never its message: that may hold content.
    """
    with choosing(own_id):
        opened = tracing.tracer.start_span(name, under, kind, attributes)
    token = attach(trace.set_span_in_context(opened))
    try:
        yield opened
    except Exception as error:
        fail(opened, type(error).__name__, type(error).__name__)
        raise
    finally:
        detach(token)
        opened.end()


@contextmanager
def choosing(own_id: int | None) -> Generator[None]:
    token = chosen_id.set(own_id)
    try:
        yield
    finally:
        chosen_id.reset(token)


def record_span(
    name: str, attributes: Attributes, *, under: Context, start: float, end: float, own_id: int, error: str = ""
) -> None:
    """Show a span whose times are known, in seconds since the epoch."""
    with choosing(own_id):
        opened = tracing.tracer.start_span(name, under, attributes=attributes, start_time=round(start * NANOS))
    if error:
        fail(opened, error, error)
    opened.end(round(end * NANOS))


def fail(opened: Span, kind: str, description: str) -> None:
    opened.set_status(StatusCode.ERROR, description)
    opened.set_attribute(ERROR_TYPE, kind)

"""What can be seen of a turn from outside: one trace from the request to the backend, with ids and never with content.

Names follow OpenTelemetry's GenAI conventions (status: development); `ganglion.*` is ours where they have no name.
"""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from urllib.parse import urlsplit

from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from domain.fleet.catalog import Backend
from domain.log.events import AttemptOutcome
from domain.turns.response import Response

tracer = trace.get_tracer("ganglion")
meter = metrics.get_meter("ganglion")
token_usage = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")
call_duration = meter.create_histogram("gen_ai.client.operation.duration", unit="s")
first_chunk = meter.create_histogram("gen_ai.client.operation.time_to_first_chunk", unit="s")

STARTS_S = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600)
"""The buckets of starts and waits: the conventions' end at 82 s, where a large model's start may begin."""

cold_starts = meter.create_histogram(
    "ganglion.backend.cold_start.duration",
    unit="s",
    description="From the request that woke a backend until it let one in",
    explicit_bucket_boundaries_advisory=STARTS_S,
)
warm_ups = meter.create_counter("ganglion.backend.wakes", unit="{wake}", description="Wakes, by what became of them")
waits = meter.create_histogram(
    "ganglion.turn.wait.duration",
    unit="s",
    description="Durable timers of turns that wait for a backend",
    explicit_bucket_boundaries_advisory=STARTS_S,
)

PORTS = {"http": 80, "https": 443}


def set_up(exporter: str) -> None:
    """Send spans to the console, or (none) leave it to the host's own OpenTelemetry. Call once, at start."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if exporter != "console":
        return
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - costs start-up time, and only here
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter  # noqa: PLC0415 - as above

    provider = TracerProvider(resource=Resource.create({"service.name": "ganglion"}))
    one_line = ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n")
    provider.add_span_processor(BatchSpanProcessor(one_line))
    trace.set_tracer_provider(provider)


def parent(traceparent: str) -> Context:
    """Return the context that a W3C traceparent names; an empty or malformed one starts a new trace."""
    return propagate.extract({"traceparent": traceparent})


def current_traceparent() -> str:
    """Return the W3C context of the span that is current; empty where none is."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def span(name: str, *, traceparent: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: str) -> Generator[Span]:
    """Open a span under the trace that crossed the durable boundary. Attributes' `__` becomes a dot."""
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    with (
        tracer.start_as_current_span(
            name, parent(traceparent), kind, named, record_exception=False, set_status_on_exception=False
        ) as opened,
        naming_errors(opened),
    ):
        yield opened


@contextmanager
def naming_errors(opened: Span) -> Generator[None]:
    """Tell the type of an error that leaves a span, never its message: that may hold content."""
    try:
        yield
    except Exception as error:
        fail(opened, type(error).__name__, type(error).__name__)
        raise


def fail(opened: Span, kind: str, description: str) -> None:
    opened.set_status(StatusCode.ERROR, description)
    opened.set_attribute("error.type", kind)


class ChatSpan:
    """One call to a model."""

    def __init__(self, opened: Span, attributes: dict[str, str | int | float]) -> None:
        self.opened = opened
        self.attributes = attributes

    def record(self, outcome: AttemptOutcome, *, first_token_s: float | None, seconds: float) -> None:
        """Say how the call went; times are seconds."""
        self.opened.set_attribute("ganglion.attempt.result", outcome.result)
        if outcome.result not in ("done", "handover"):
            kind = outcome.code or outcome.result
            fail(self.opened, kind, outcome.message)
            self.attributes["error.type"] = kind
        call_duration.record(seconds, self.attributes)
        if first_token_s is not None:
            first_chunk.record(first_token_s, self.attributes)
            self.opened.set_attribute("gen_ai.response.time_to_first_chunk", first_token_s)
        if outcome.usage:
            self.count("input", outcome.usage.input_tokens)
            self.count("output", outcome.usage.output_tokens)

    def count(self, kind: str, tokens: int) -> None:
        token_usage.record(tokens, {**self.attributes, "gen_ai.token.type": kind})
        self.opened.set_attribute(f"gen_ai.usage.{kind}_tokens", tokens)


@contextmanager
def chat_span(backend: Backend, response: Response) -> Generator[ChatSpan]:
    """Open the span `chat {model}` of one call to a backend."""
    attributes = chat_attributes(backend)
    ids = {"gen_ai.response.id": response.id, "gen_ai.conversation.id": response.thread}
    with (
        tracer.start_as_current_span(
            f"chat {backend.model}",
            kind=SpanKind.CLIENT,
            attributes={**attributes, **ids},
            record_exception=False,
            set_status_on_exception=False,
        ) as opened,
        naming_errors(opened),
    ):
        yield ChatSpan(opened, attributes)


def chat_attributes(backend: Backend) -> dict[str, str | int | float]:
    """Return what spans and metrics of a call have in common."""
    address = urlsplit(backend.url)
    return {
        **backend_attributes(backend),
        "gen_ai.operation.name": "chat",
        "server.address": address.hostname or "",
        "server.port": address.port or PORTS[address.scheme],
    }


class WarmUpOutcome(StrEnum):
    """What became of a wake."""

    UP = "up"
    """It was answered: the backend is up, or was."""
    HELD = "held"
    """It was held and dropped; the start goes on."""
    STARTING = "starting"
    """The service gave it up while it starts."""
    REFUSED = "refused"
    UNPROVEN = "unproven"
    """It was not sent: nothing proved who asks."""
    UNCOVERED = "uncovered"
    """It was not sent: no budget covers it."""


def count_warm_up(backend: Backend, outcome: WarmUpOutcome) -> None:
    warm_ups.add(1, {**backend_attributes(backend), "ganglion.wake.outcome": outcome.value})


def count_cold_start(backend: Backend, seconds: float) -> None:
    cold_starts.record(seconds, backend_attributes(backend))


def count_wait(backend: Backend | None, seconds: float, *, reason: str) -> None:
    """Count a turn's wait; `backend` is None where every one of them is out for a while."""
    named = {} if backend is None else backend_attributes(backend)
    waits.record(seconds, {**named, "ganglion.wait.reason": reason})


def backend_attributes(backend: Backend) -> dict[str, str | int | float]:
    return {
        "gen_ai.provider.name": backend.system,
        "gen_ai.request.model": backend.model,
        "ganglion.backend": backend.name,
    }

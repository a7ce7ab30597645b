"""What is recorded of one call to a model?"""

from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from msgspec import Struct
from opentelemetry.trace import Span, SpanKind

from domain.fleet.catalog import Backend
from domain.log.events import CALLS, AttemptOutcome, TokenUsage
from domain.turns.response import Response
from telemetry import names
from telemetry.buffers import Attributes
from telemetry.metrics import backend_attributes, counter, histogram
from telemetry.spans import fail, span

PORTS = {"http": 80, "https": 443}
ANSWERED = ("done", "handover", CALLS)
"""The results of calls that did not fail."""

NO_TOKENS = TokenUsage()

DURATION_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
CHUNK_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
"""The buckets that the conventions advise."""

call_duration = histogram(names.CALL_DURATION, unit="s", description="Calls to models", buckets=DURATION_S)
first_chunk = histogram(names.CALL_FIRST_CHUNK, unit="s", description="Time to their first text", buckets=DURATION_S)
chunk_time = histogram(
    names.CALL_CHUNK_TIME, unit="s", description="Mean time between the chunks of a call", buckets=CHUNK_S
)
input_tokens = counter(names.CALL_INPUT_TOKENS, unit="{token}", description="Input tokens, cached ones included")
cached_tokens = counter(names.CALL_CACHED_TOKENS, unit="{token}", description="Input tokens that were cached")
output_tokens = counter(names.CALL_OUTPUT_TOKENS, unit="{token}", description="Output tokens, reasoning included")

old_token_usage = histogram(names.OLD_TOKEN_USAGE, unit="{token}")
old_call_duration = histogram(names.OLD_CALL_DURATION, unit="s", buckets=DURATION_S)
old_first_chunk = histogram(names.OLD_FIRST_CHUNK, unit="s", buckets=DURATION_S)


class Conventions:
    """Whether the older names are recorded too, as the standard opt-in variable asks for."""

    def __init__(self) -> None:
        self.with_old_names = False

    def choose(self, opt_in: str) -> None:
        """Read OTEL_SEMCONV_STABILITY_OPT_IN, a list with commas."""
        self.with_old_names = names.OLD_NAMES_TOO in (name.strip() for name in opt_in.split(","))


conventions = Conventions()


class CallMeasures(Struct, frozen=True, kw_only=True):
    """What was measured of a call; times are seconds, None where no text came.

    `chunk_s` is the mean time between two chunks. `usage` is what the backend counted, None where it did not.
    """

    seconds: float
    first_token_s: float | None
    chunk_s: float | None
    usage: TokenUsage | None
    finish_reason: str


class ChatSpan:
    """One call to a model."""

    def __init__(self, opened: Span, attributes: dict[str, str | int | float]) -> None:
        self.opened = opened
        self.attributes = attributes

    def record(self, outcome: AttemptOutcome, measured: CallMeasures) -> None:
        """Say how the call went."""
        self.opened.set_attribute(names.ATTEMPT_RESULT, outcome.result)
        if measured.finish_reason:
            self.opened.set_attribute(names.FINISH_REASONS, (measured.finish_reason,))
        error: Attributes = {}
        if outcome.result not in ANSWERED:
            kind = outcome.code or outcome.result
            fail(self.opened, kind, kind)
            error = {names.ERROR_TYPE: kind}
        call_duration(measured.seconds, {**self.attributes, **error})
        self.record_chunks(measured)
        self.record_tokens(measured.usage)
        if conventions.with_old_names:
            record_old_names(self.attributes, error, measured)

    def record_chunks(self, measured: CallMeasures) -> None:
        if measured.first_token_s is not None:
            first_chunk(measured.first_token_s, self.attributes)
            self.opened.set_attribute(names.FIRST_CHUNK_S, measured.first_token_s)
        if measured.chunk_s is not None:
            chunk_time(measured.chunk_s, self.attributes)

    def record_tokens(self, usage: TokenUsage | None) -> None:
        """Count the tokens; a call whose backend counted none counts 0 of an unknown kind, as the conventions ask."""
        counted = usage or NO_TOKENS
        attributes = {**self.attributes, names.MODALITY: "text" if usage else "unknown"}
        input_tokens(counted.input_tokens, attributes)
        cached_tokens(counted.cached_tokens, attributes)
        output_tokens(counted.output_tokens, attributes)
        if usage:
            self.opened.set_attributes(
                {
                    names.INPUT_TOKENS: usage.input_tokens,
                    names.CACHED_TOKENS: usage.cached_tokens,
                    names.OUTPUT_TOKENS: usage.output_tokens,
                }
            )


def record_old_names(attributes: Attributes, error: Attributes, measured: CallMeasures) -> None:
    """Record what the conventions before v0.1.0 called a call's duration, its first chunk and its tokens."""
    old_call_duration(measured.seconds, {**attributes, **error})
    if measured.first_token_s is not None:
        old_first_chunk(measured.first_token_s, attributes)
    if measured.usage:
        old_token_usage(measured.usage.input_tokens, {**attributes, names.OLD_TOKEN_TYPE: "input"})
        old_token_usage(measured.usage.output_tokens, {**attributes, names.OLD_TOKEN_TYPE: "output"})


@contextmanager
def chat_span(backend: Backend, response: Response, *, max_tokens: int) -> Generator[ChatSpan]:
    """Open the span `chat {model}` of one call to a backend."""
    attributes = chat_attributes(backend)
    asked = asked_attributes(response)
    own = {names.MAX_TOKENS: max_tokens, **asked}
    with span(f"chat {backend.model}", {**attributes, **own}, kind=SpanKind.CLIENT) as opened:
        yield ChatSpan(opened, attributes)


def asked_attributes(response: Response) -> dict[str, str | bool]:
    """Return what a span says about the turn that asks; only values that hold are set."""
    asked: dict[str, str | bool] = {
        names.RESPONSE_ID: response.id,
        names.CONVERSATION_ID: response.thread,
        names.OUTPUT_TYPE: "text",
    }
    if response.history.previous:
        asked[names.PREVIOUS_RESPONSE_ID] = response.history.previous
    if response.history.left_out or response.history.results_out:
        asked[names.COMPACTED] = True
    return asked


def chat_attributes(backend: Backend) -> dict[str, str | int | float]:
    """Return what spans and metrics of a call have in common."""
    address = urlsplit(backend.url)
    return {
        **backend_attributes(backend),
        names.OPERATION: names.CHAT,
        names.RESPONSE_MODEL: backend.served_model or backend.model,
        names.SERVER_ADDRESS: address.hostname or "",
        names.SERVER_PORT: address.port or PORTS[address.scheme],
    }

"""How is what the app records kept until the exporters are imported?

A span or a measurement goes to where telemetry is sent, once that is known. Until then it is kept, up to a limit: what
is recorded after that is dropped and counted.
"""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

type Attributes = Mapping[str, str | int | float | bool]

KEPT_SPANS = 2048
"""As many as the SDK's batch processor keeps (`OTEL_BSP_MAX_QUEUE_SIZE`)."""

KEPT_MEASUREMENTS = 10_000


class SpanBuffer(SpanProcessor):
    """Keeps ended spans until `connect`, and passes them on from then."""

    def __init__(self, limit: int = KEPT_SPANS) -> None:
        self.limit = limit
        self.lock = Lock()
        self.kept: list[ReadableSpan] = []
        self.dropped = 0
        self.targets: tuple[SpanProcessor, ...] | None = None

    def connect(self, *targets: SpanProcessor) -> None:
        """Pass the kept spans to the processors, and all later ones."""
        with self.lock:
            self.targets = targets
            kept, self.kept = self.kept, []
            for span in kept:
                self.pass_on(targets, span)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for target in self.targets or ():
            target.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        targets = self.targets
        if targets is None:
            with self.lock:
                targets = self.targets
                if targets is None:
                    self.keep(span)
                    return
        self.pass_on(targets, span)

    def keep(self, span: ReadableSpan) -> None:
        if len(self.kept) < self.limit:
            self.kept.append(span)
        else:
            self.dropped += 1

    def pass_on(self, targets: tuple[SpanProcessor, ...], span: ReadableSpan) -> None:
        for target in targets:
            target.on_end(span)

    def shutdown(self) -> None:
        for target in self.targets or ():
            target.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return all(target.force_flush(timeout_millis) for target in self.targets or ())


class Recording(Protocol):
    """Records one measurement in an instrument: `Counter.add` or `Histogram.record`."""

    def __call__(self, amount: float, attributes: Attributes) -> None: ...


class MeasurementBuffer:
    """Records measurements at once, except between `hold` and `release`: then they are kept until the release."""

    def __init__(self, limit: int = KEPT_MEASUREMENTS) -> None:
        self.limit = limit
        self.lock = Lock()
        self.is_held = False
        self.kept: list[Callable[[], None]] = []
        self.dropped = 0

    def hold(self) -> None:
        self.is_held = True

    def release(self) -> None:
        """Record what was kept: from now on an exporter reads the instruments."""
        with self.lock:
            self.is_held = False
            kept, self.kept = self.kept, []
        for record in kept:
            record()

    def record(self, recording: Recording, amount: float, attributes: Attributes) -> None:
        if self.is_held and self.keep(lambda: recording(amount, attributes)):
            return
        recording(amount, attributes)

    def keep(self, record: Callable[[], None]) -> bool:
        """Keep the measurement, or drop it where too many are kept; False where none are kept any more."""
        with self.lock:
            if not self.is_held:
                return False
            if len(self.kept) < self.limit:
                self.kept.append(record)
            else:
                self.dropped += 1
            return True


measurements = MeasurementBuffer()
"""The one buffer of the process: its instruments are found once, as OpenTelemetry's own are."""

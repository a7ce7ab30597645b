"""Which spans belong to a turn besides those of its steps, and how does every process know their ids?

A turn outlives the processes that work on it. The ids of its spans follow from the id of its response, so a process can
open a span under a parent that another one ends, and a repeated step shows the same span again.
"""

import hashlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext

from domain.log.events import Slot
from domain.money.ledger_records import AttemptRecord
from domain.wire import WaitWire
from telemetry import names
from telemetry.spans import Attributes, parent, record_span, span, tracing

TURNS_AT_ONCE = 1024
"""How many turns a process keeps the context of."""

INTERRUPTED = "interrupted"
"""The result of an attempt's run that died."""


def span_id(response_id: str, *part: object) -> int:
    """Return the id of one span of a turn: 64 bits that are not 0."""
    text = "/".join((response_id, *map(str, part)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) or 1


def turn_context(traceparent: str, response_id: str) -> Context:
    """Return the context of the turn's own span, which is shown once the turn is settled: the parent of its steps."""
    return context_of_turn(traceparent, response_id) if tracing.is_on else parent(traceparent)


@lru_cache(maxsize=TURNS_AT_ONCE)
def context_of_turn(traceparent: str, response_id: str) -> Context:
    """Return the same for all steps of a turn, which mostly run in one process; the request's own without a trace."""
    request = parent(traceparent)
    known = trace.get_current_span(request).get_span_context()
    if not known.is_valid:
        return request
    own = SpanContext(
        known.trace_id,
        span_id(response_id),
        is_remote=True,
        trace_flags=known.trace_flags,
        trace_state=known.trace_state,
    )
    return trace.set_span_in_context(NonRecordingSpan(own), request)


def attempt_ids(record: AttemptRecord, delivery: int) -> Attributes:
    return {
        names.RESPONSE_ID: record.response,
        names.BACKEND: record.backend,
        names.ATTEMPT_NUMBER: record.number,
        names.ATTEMPT_DELIVERY: delivery,
    }


@contextmanager
def attempt_span(record: AttemptRecord) -> Generator[Span]:
    """Open the span of one run of an attempt."""
    own = span_id(record.response, "attempt", record.number, record.progress.deliveries)
    with span(names.ATTEMPT_SPAN, attempt_ids(record, record.progress.deliveries), own_id=own) as opened:
        yield opened


def record_lost_runs(record: AttemptRecord, earlier: Sequence[Slot], *, writer: str, traceparent: str) -> None:
    """Show the runs of an attempt that died: each from its first to its last sign in the log.

    `earlier` are the slots of the attempt's runs, `writer` is the run that found them.
    """
    writers = dict.fromkeys(slot.writer for slot in earlier if slot.writer != writer)
    runs = [[slot.at for slot in earlier if slot.writer == each] for each in writers]
    under = turn_context(traceparent, record.response)
    for delivery in range(1, record.progress.deliveries):
        seen_at = runs[delivery - 1] if delivery <= len(runs) else []
        start = record.started_at if delivery == 1 else min(seen_at, default=record.started_at)
        record_span(
            names.ATTEMPT_SPAN,
            {**attempt_ids(record, delivery), names.ATTEMPT_RESULT: INTERRUPTED},
            under=under,
            start=start,
            end=max(seen_at, default=start),
            own_id=span_id(record.response, "attempt", record.number, delivery),
            error=INTERRUPTED,
        )


def record_waits(waits: Sequence[WaitWire], *, traceparent: str, response_id: str) -> None:
    """Show the durable timers of a turn, from the history of its orchestration."""
    under = turn_context(traceparent, response_id)
    for number, wait in enumerate(waits, 1):
        backend = {names.BACKEND: wait["backend"]} if wait["backend"] else {}
        record_span(
            names.WAIT_SPAN,
            {names.RESPONSE_ID: response_id, names.WAIT_REASON: wait["reason"], **backend},
            under=under,
            start=wait["since"],
            end=wait["until"],
            own_id=span_id(response_id, "wait", number),
        )


def record_warm_up(attributes: Attributes, *, by: str, traceparent: str, start: float, end: float) -> None:
    """Show a cold start in the turn that sent the warm-up."""
    record_span(
        names.WARM_UP_SPAN,
        {names.RESPONSE_ID: by, **attributes},
        under=turn_context(traceparent, by),
        start=start,
        end=end,
        own_id=span_id(by, "warm_up", str(attributes[names.BACKEND]), start),
    )

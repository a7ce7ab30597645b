"""Which trace does a line of the log belong to?"""

import logging
from typing import Any

from opentelemetry import trace


def stamp_log_records() -> None:
    """Give each later log record `trace_id` and `span_id`, in hexadecimal; empty outside a span. Call it once."""
    make_record = logging.getLogRecordFactory()

    def stamped(*args: Any, **named: Any) -> logging.LogRecord:
        record, context = make_record(*args, **named), trace.get_current_span().get_span_context()
        record.trace_id = trace.format_trace_id(context.trace_id) if context.is_valid else ""
        record.span_id = trace.format_span_id(context.span_id) if context.is_valid else ""
        return record

    logging.setLogRecordFactory(stamped)

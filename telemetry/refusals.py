"""What is reported of a request that is answered with an error?"""

import json
import logging

from opentelemetry import trace

from telemetry import names
from telemetry.metrics import counter

logger = logging.getLogger("ganglion.requests")

refusals = counter(names.REFUSALS, unit="{request}", description="Requests answered with an error, by cause")


def report_refusal(function: str, *, request_id: str, status: int, cause: str) -> None:
    """Count it and write one line; `cause` is the error's code. The message is left out: it may quote the request."""
    refusals(1, {names.FUNCTION: function, names.HTTP_STATUS: status, names.REFUSAL_CAUSE: cause})
    context = trace.get_current_span().get_span_context()
    line = {
        "event": "request_refused",
        "request": request_id,
        "function": function,
        "status": status,
        "cause": cause,
        "trace_id": trace.format_trace_id(context.trace_id) if context.is_valid else "",
        "span_id": trace.format_span_id(context.span_id) if context.is_valid else "",
    }
    logger.info("%s", json.dumps(line))

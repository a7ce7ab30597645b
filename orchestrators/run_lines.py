"""In what order do the lines of a chunk run?

(some lines at once → wait where none of them can go on)… → tally
"""

from datetime import timedelta
from typing import Final

from domain.batches import batch_wire
from orchestrators.context import Context, Steps
from orchestrators.steps import call_step, call_together

MAX_EVENTS: Final = 180
EVENTS_OF_A_LINE: Final = 4
"""A step is scheduled and completed, and the orchestrator starts and ends a run; a timer takes as many."""

RETRY_S: Final = 5.0
"""A line whose step failed for want of the store is tried again after so many seconds."""


def run_lines(context: Context) -> Steps[batch_wire.LinesRanWire]:
    """Run the lines of a chunk until each of them has ended, or the batch is stopped."""
    request: batch_wire.RunLinesWire = context.get_input()
    batch, width = batch_wire.batch_of(request), request["width"]
    pending, events = request["lines"], 0
    while pending:
        some = pending[:width]
        if events and events + EVENTS_OF_A_LINE * (len(some) + 1) > MAX_EVENTS:
            context.continue_as_new({**request, "lines": pending})
            return {"stopped": 0}
        results = yield from run_some(context, batch, some)
        if any(each["stopped"] for each in results):
            return {"stopped": 1}
        waiting = [line for line, each in zip(some, results, strict=True) if each["delay_s"]]
        pending = [*pending[width:], *waiting]
        if len(waiting) == len(some):
            delay_s = min(each["delay_s"] for each in results)
            yield context.create_timer(context.current_utc_datetime + timedelta(seconds=delay_s))
        events += EVENTS_OF_A_LINE * (len(some) + (len(waiting) == len(some)))
    yield call_step(context, batch_wire.TALLY_LINES, {**batch, "chunk": request["chunk"]})
    return {"stopped": 0}


def run_some(context: Context, batch: batch_wire.BatchWire, lines: list[int]) -> Steps[list[batch_wire.LineRanWire]]:
    """Run lines at once; a line whose step failed is to be tried again."""
    requests: list[batch_wire.LineWire] = [{**batch, "line": line} for line in lines]
    tried = yield from call_together(context, [(batch_wire.RUN_LINE, request) for request in requests])
    return [each["value"] or {"delay_s": RETRY_S, "stopped": 0} for each in tried]

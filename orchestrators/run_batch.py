"""In what order does a batch run?

check → (time → wait)… → (chunks of lines, some at once)… → finish. A long batch goes on in a new history after a number
of chunks or waits.
"""

from datetime import timedelta
from typing import Final

from domain.batches import batch_wire
from domain.batches.batch import CHUNK_LINES
from orchestrators.context import ParentContext, Steps
from orchestrators.steps import call_step

CHUNKS_AT_ONCE: Final = 4
"""Of a batch that an earlier release has checked."""

CHUNKS_OF_A_HISTORY: Final = 32
"""A chunk takes at most four events, so a history stays below 200."""

LOOKS_OF_A_HISTORY: Final = 15
"""A look and its wait take at most ten events."""


def run_batch(context: ParentContext) -> Steps[batch_wire.BatchFinishedWire]:
    """Run one batch. Every step is safe to repeat, so a batch that was lost begins again where it was."""
    request: batch_wire.RunBatchWire = context.get_input()
    batch = batch_wire.batch_of(request)
    if "lines" in request:
        checked = batch_wire.BatchCheckedWire(
            lines=request["lines"],
            chunk=request.get("chunk", 0),
            width=request.get("width", 1),
            at_once=request.get("at_once", 0),
        )
    else:
        checked = yield call_step(context, batch_wire.CHECK_BATCH, batch)
        goes_on = yield from wait_for_time(context, batch, checked, request.get("looks", 0))
        if goes_on:
            return {"status": "goes on"}
    goes_on = yield from run_chunks(context, batch, checked)
    if goes_on:
        return {"status": "goes on"}
    return (yield call_step(context, batch_wire.FINISH_BATCH, batch))


def wait_for_time(
    context: ParentContext, batch: batch_wire.BatchWire, checked: batch_wire.BatchCheckedWire, looks: int
) -> Steps[bool]:
    """Wait until the batch costs least; True where it goes on in a new history. An event only wakes it."""
    first, last = looks, looks + LOOKS_OF_A_HISTORY
    while checked["lines"]:
        timed: batch_wire.BatchTimedWire = yield call_step(context, batch_wire.TIME_BATCH, {**batch, "looks": looks})
        if not timed["delay_s"]:
            if looks > first:
                go_on(context, batch, checked, checked["chunk"])
            return looks > first
        timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=timed["delay_s"]))
        woken = context.wait_for_external_event(batch_wire.wake_event(looks))
        if (yield context.task_any([timer, woken])) is woken:
            timer.cancel()
        looks += 1
        if looks == last:
            context.continue_as_new({**batch, "looks": looks})
            return True
    return False


def run_chunks(
    context: ParentContext, batch: batch_wire.BatchWire, checked: batch_wire.BatchCheckedWire
) -> Steps[bool]:
    """Run chunk after chunk, some of them at once; True where the batch goes on in a new history."""
    chunks, chunk, width = -(-checked["lines"] // CHUNK_LINES), checked["chunk"], checked["width"]
    last = min(chunks, chunk + CHUNKS_OF_A_HISTORY)
    at_once = checked.get("at_once") or min(CHUNKS_AT_ONCE, width)
    while chunk < last:
        numbers = range(chunk, min(last, chunk + at_once))
        ran: list[batch_wire.LinesRanWire] = yield context.task_all(
            [child(context, batch, number, checked["lines"], -(-width // at_once)) for number in numbers]
        )
        if any(each["stopped"] for each in ran):
            return False
        chunk = numbers.stop
    if chunk < chunks:
        go_on(context, batch, checked, chunk)
    return chunk < chunks


def go_on(
    context: ParentContext, batch: batch_wire.BatchWire, checked: batch_wire.BatchCheckedWire, chunk: int
) -> None:
    """Go on with a chunk in a new history: neither many waits nor many chunks let one grow."""
    kept = {"lines": checked["lines"], "width": checked["width"], "at_once": checked.get("at_once", 0)}
    context.continue_as_new({**batch, **kept, "chunk": chunk})


def child(context: ParentContext, batch: batch_wire.BatchWire, chunk: int, lines: int, width: int) -> object:
    """Start the orchestration of a chunk, whose id is that of the batch with the number of the chunk."""
    own = list(range(chunk * CHUNK_LINES, min(lines, (chunk + 1) * CHUNK_LINES)))
    request: batch_wire.RunLinesWire = {**batch, "chunk": chunk, "lines": own, "width": width}
    return context.call_sub_orchestrator(batch_wire.RUN_LINES, request, f"{batch['response']}_{chunk}")

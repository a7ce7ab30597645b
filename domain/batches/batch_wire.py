"""What do the orchestrations and activities of a batch exchange? The rules of `domain.wire` hold.

Beside the ids of the batch, only numbers cross the durable boundary: a flag is 0 or 1.
"""

from typing import Final, NotRequired, TypedDict

from domain.wire import TurnWire

RUN_BATCH: Final = "run_batch"
"""The orchestration of one batch. Its instance id is the id of the batch."""

RUN_LINES: Final = "run_lines"
"""The orchestration of up to 64 lines of a batch."""

CHECK_BATCH: Final = "check_batch"
TIME_BATCH: Final = "time_batch"
RUN_LINE: Final = "run_line"
TALLY_LINES: Final = "tally_lines"
FINISH_BATCH: Final = "finish_batch"


class BatchWire(TurnWire):
    """Identifies a batch: `response` is the id of the batch."""


class RunBatchWire(BatchWire):
    """The input of a batch's orchestration; `lines` and `chunk`, the next one, are there in a later history.

    `looks` counts how often the batch was looked at before it began.
    """

    lines: NotRequired[int]
    chunk: NotRequired[int]
    width: NotRequired[int]
    at_once: NotRequired[int]
    looks: NotRequired[int]


class BatchCheckedWire(TypedDict):
    """The lines to run from `chunk` on, `width` of them at once; none where the batch has a mistake or has ended.

    `at_once` is how many chunks run at once; earlier releases did not say.
    """

    lines: int
    chunk: int
    width: int
    at_once: NotRequired[int]


class TimeBatchWire(BatchWire):
    """`looks` counts how often the batch was looked at before."""

    looks: int


class BatchTimedWire(TypedDict):
    """How long a batch waits before it is looked at again; 0 where it begins."""

    delay_s: float


class RunLinesWire(BatchWire):
    """The lines of a `chunk` that have not ended, of which `width` run at once."""

    chunk: int
    lines: list[int]
    width: int


class LineWire(BatchWire):
    line: int


class LineRanWire(TypedDict):
    """How far a line has come: it waits for `delay_s`, or has ended. `stopped`: no line of the batch runs any more."""

    delay_s: float
    stopped: int


class TallyWire(BatchWire):
    chunk: int


class TalliedWire(TypedDict):
    ended: int


class LinesRanWire(TypedDict):
    """The output of the orchestration of a chunk."""

    stopped: int


class BatchFinishedWire(TypedDict):
    """The output of a batch's orchestration: its final status, or `deleted`."""

    status: str


def wake_event(looks: int) -> str:
    """Return the name of the external event that ends one wait: each wait has its own."""
    return f"wake_{looks}"


def batch_of(request: BatchWire) -> BatchWire:
    """Return what identifies the batch of a request."""
    return {
        "tenant": request["tenant"],
        "subject": request["subject"],
        "response": request["response"],
        "traceparent": request["traceparent"],
    }

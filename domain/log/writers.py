"""Who writes to a log? The name of each writer begins with what it is."""

from typing import Final

from domain.log.events import Slot

ADMISSION: Final = "admission:"
"""Writes the first slot of a log."""

RUN: Final = "infer:"
"""A run of an attempt; other writers are steps that no attempt stands behind."""

COPIER: Final = "copy:"
"""Copies the answer of another turn while that is made."""


def is_copy(writer: str) -> bool:
    """Tell whether nobody but copiers has written to a log whose last writer this is, since its turn was admitted."""
    return writer.startswith((ADMISSION, COPIER))


def is_at_work(last: Slot) -> bool:
    """Tell whether a process works on a turn whose log ends with this slot: an attempt runs, or its answer has ended.

    In all other steps a turn may wait for long, on a timer and without a process.
    """
    is_over = last.outcome is not None and last.outcome.result not in {"done", "failed"}
    return last.writer.startswith(RUN) and not is_over

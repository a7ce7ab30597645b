"""Which batches wait for their start, and how many lines wait beside those of one batch?"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from domain.batches.batch import Batch, BatchStatus
from domain.batches.start_time import WaitingLines, waiting_lines
from state.batches.batch_store import BatchStore
from state.batches.starts import BatchStart

MAY_WAIT: Final = frozenset({BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING})

BEGINNING_S: Final = 120.0
"""A backend that was started for a batch is known to start within so many seconds.

Until then the others count the lines of that batch, as if it waited: they share its start.
"""


class TimedBatch(NamedTuple):
    """A batch with its last decision."""

    batch: Batch
    start: BatchStart

    @property
    def waits(self) -> bool:
        """Whether the batch waits, or waited when it was cancelled."""
        return not self.start.decision.starts

    def shares(self, other: Batch, now: float) -> bool:
        """Tell whether another batch would share a start with this one."""
        is_alike = self.batch.model == other.model and self.batch.id != other.id
        begins = bool(self.start.decision.backend) and now < self.start.at + BEGINNING_S
        return is_alike and self.batch.status is BatchStatus.IN_PROGRESS and (self.waits or begins)


async def timed_among(batches: BatchStore, active: Iterable[Batch]) -> Sequence[TimedBatch]:
    """Return those of some batches that have been decided on."""
    starts = [(each, await batches.starts.read(each)) for each in active if each.status in MAY_WAIT]
    return [TimedBatch(batch, start) for batch, start in starts if start]


async def lines_waiting_with(batches: BatchStore, batch: Batch, *, now: float) -> WaitingLines:
    """Return the lines that wait for the model of a batch, those of all owners."""
    active = await batches.active(before=now)
    same = [each for each in active if each.model == batch.model and each.id != batch.id]
    return lines_beside(batch, await timed_among(batches, same), now=now)


def lines_beside(batch: Batch, timed: Iterable[TimedBatch], *, now: float) -> WaitingLines:
    return waiting_lines(batch.lines, [each.batch.lines for each in timed if each.shares(batch, now)])

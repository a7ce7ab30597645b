"""What may a run that died have used beyond its text in the log?

Nobody knows it: the worker is gone. A run dies with the slot that it was writing, and with what its backend sent
meanwhile. At a steady pace that is no more than two of its slots.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from domain.log.events import Slot
from domain.money.costing import BackendWork
from domain.money.ledger_records import AttemptRecord

LOST_SLOTS: Final = 2
LEAST_TOKENS: Final = 16
"""The least output that is added for a run that died. Its slots may be too few to know its pace."""


def unseen_work(record: AttemptRecord, died: Sequence[Slot], *, runs: int) -> BackendWork:
    """Return the margin for `runs` runs that died; `died` are their slots.

    Those without text in the log had called their backend too, which had read the prompt. Where the runs read one
    prediction, the last of them has read it to its end.
    """
    if any(slot.prediction for slot in died):
        return BackendWork()
    largest: dict[str, int] = defaultdict(int)
    for slot in died:
        if slot.pieces:
            largest[slot.writer] = max(largest[slot.writer], slot.pieces)
    silent = max(0, runs - len(largest))
    output = sum(margin_of(pieces) for pieces in largest.values()) + silent * LEAST_TOKENS
    return BackendWork(input_tokens=silent * record.prompt_tokens, output_tokens=output)


def margin_of(largest_slot: int) -> int:
    """Return the tokens that are added for a run whose largest slot in the log has so many."""
    return max(LEAST_TOKENS, LOST_SLOTS * largest_slot)

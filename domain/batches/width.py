"""How many lines of one batch run at once?"""

from typing import Final

from domain.fleet.catalog import Fleet
from domain.routing.queueing import room_beside_others

MOST: Final = 32
"""More lines of one batch would take the places of activities that turns need."""


MOST_CHUNKS: Final = 4
"""More chunks at once would take more of a history."""


def chunks_at_once(width: int) -> int:
    """Return how many chunks run at once, each with the same number of lines: together `width`, and no more.

    Chunks that compete for the places of a backend would not end together, and the last one would run alone.
    """
    return next(number for number in range(MOST_CHUNKS, 0, -1) if width % number == 0)


def lines_at_once(fleet: Fleet) -> int:
    """Return the room of the fleet's backends together, but for what they keep free."""
    room = sum(room_beside_others(each.limits.concurrency) for each in fleet.backends.values())
    return max(1, min(MOST, room))

"""How many lines of one batch run at once?"""

from typing import Final

from domain.fleet.catalog import Fleet
from domain.routing.queueing import room_beside_others

MOST: Final = 32
"""More lines of one batch would take the places of activities that turns need."""


def lines_at_once(fleet: Fleet) -> int:
    """Return the room of the fleet's backends together, but for what they keep free."""
    room = sum(room_beside_others(each.limits.concurrency) for each in fleet.backends.values())
    return max(1, min(MOST, room))

"""In which hours may work that can wait begin at once, because the operator says that they are cheap?"""

from typing import Final

from msgspec import Struct, field

HOUR_S: Final = 3600
HOURS: Final = 24


class CheapHours(Struct, frozen=True):
    """Hours of the day in UTC, from 0 to 23."""

    hours: frozenset[int] = field(default_factory=frozenset[int])

    def include(self, at: float) -> bool:
        """Tell whether a time, in seconds since the epoch, is in a cheap hour."""
        return int(at // HOUR_S) % HOURS in self.hours

    def next_after(self, at: float) -> float | None:
        """Return when the next cheap hour begins after a time; None where there is none."""
        begin = int(at // HOUR_S) + 1
        return next((hour * HOUR_S for hour in range(begin, begin + HOURS) if hour % HOURS in self.hours), None)

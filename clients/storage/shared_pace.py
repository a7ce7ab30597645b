"""How often does a process change a document that other processes change too?

Two changes collide if one is committed while the other is under way. A process begins its changes at fixed distances,
so processes that have once found times of their own keep them; after a collision it moves to a random time. Where it
still collides often, the distance doubles. Alone, a process never waits.
"""

from typing import Final

from clients.clock import Clock

LEAST_S: Final = 0.25
MOST_S: Final = 2.0
"""The least and the greatest distance between two changes of one process."""

WEIGHT: Final = 0.1
EXPECTED: Final = 0.1
OFTEN: Final = 0.2
SELDOM: Final = 0.03
"""The distance doubles above, and halves below, such a share of collisions among the last ten or so."""


class SharedPace:
    """The pace of one process at one document; `distance_s` are the seconds from one of its changes to the next."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.distance_s = LEAST_S
        self.collisions = EXPECTED
        self.began_at = 0.0
        self.next_at = 0.0

    async def begin(self) -> None:
        """Wait for the time of the next change. A clock that was set back makes no wait longer."""
        left_s = self.next_at - self.clock.now()
        if 0 < left_s <= MOST_S:
            await self.clock.sleep(left_s)
        self.began_at = self.clock.now()

    def collided(self) -> None:
        """Another process was faster than the change that has begun."""
        self.count(1.0)
        self.next_at = self.clock.now() + self.clock.fraction() * self.distance_s

    def changed(self, *, by_others: bool) -> None:
        """The change succeeded; `by_others`: other processes have changed the document since the last one."""
        self.count(0.0)
        self.next_at = self.began_at + self.distance_s if by_others else 0.0

    def count(self, collided: float) -> None:
        self.collisions += WEIGHT * (collided - self.collisions)
        if self.collisions > OFTEN and self.distance_s < MOST_S:
            self.distance_s, self.collisions = 2 * self.distance_s, EXPECTED
        elif self.collisions < SELDOM and self.distance_s > LEAST_S:
            self.distance_s, self.collisions = self.distance_s / 2, EXPECTED

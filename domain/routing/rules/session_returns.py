"""When had the alternatives cost as much as a GPU session, and what did each session earn or lose against them?

Amounts are dollars, times seconds since the epoch. Demand is kept in parts of some seconds: what a GPU that is up saves
in the turns of each part.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from domain.routing.rules.replay import ROUNDING_USD, PastDemand


class SpendPoint(NamedTuple):
    """What the turns of a part that began `at` added, and the rental spend of the window that ends with it."""

    at: float
    saved: float
    spent: float


class SessionTime(NamedTuple):
    """A session from the request that started it to the stop of its machine, and its cost."""

    began: float
    ended: float
    cost: float


class SessionReturn(NamedTuple):
    """What the turns would have lost without a session, the number of parts of demand in it, and what it earned.

    `crossed_at` is when the rental spend last reached the price before the session began; None where it had not.
    """

    saved: float
    parts: int
    earned: float
    crossed_at: float | None


def spend_points(demand: Sequence[PastDemand], window_s: float) -> list[SpendPoint]:
    """Return the rental spend after each part of the demand, which is in the order of time."""
    recent: deque[PastDemand] = deque()
    points: list[SpendPoint] = []
    for part in demand:
        recent.append(part)
        while recent[0].at < part.at - window_s:
            recent.popleft()
        points.append(SpendPoint(part.at, part.saved, sum(each.saved for each in recent)))
    return points


def crossings(points: Iterable[SpendPoint], price: float, window_s: float) -> Iterator[float]:
    """Yield the times at which the rental spend reached a price that it had not reached before.

    Spend that is older than a window counts no more, so a pause of that length begins anew.
    """
    was, before = False, 0.0
    for point in points:
        now = point.spent + ROUNDING_USD >= price
        if now and not (was and point.at - before <= window_s):
            yield point.at
        was, before = now, point.at


def session_returns(
    sessions: Sequence[SessionTime], points: Sequence[SpendPoint], crossed: Sequence[float], part_s: float
) -> list[SessionReturn]:
    """Return what each session earned; sessions are in the order of time, and a part counts for one of them."""
    found: list[SessionReturn] = []
    free, since = 0, float("-inf")
    for each in sessions:
        own = [at for at in range(free, len(points)) if each.began - part_s < points[at].at <= each.ended]
        free = own[-1] + 1 if own else free
        saved = sum(points[at].saved for at in own)
        crossing = max((at for at in crossed if since < at <= each.began), default=None)
        found.append(SessionReturn(saved, len(own), saved - each.cost, crossing))
        since = each.began
    return found

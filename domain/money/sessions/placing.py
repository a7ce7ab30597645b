"""Which of several instances does a request run on, as far as sessions tell?

The provider spreads requests; it does not say which instance serves which one. So a request is attributed to the first
instance that has room for it.
"""

from collections.abc import Sequence
from typing import Final

from domain.money.sessions.gpu_sessions import GpuSession

FIRST: Final = 0


def placed(sessions: Sequence[GpuSession | None], *, concurrency: int, idle_s: float, now: float, is_held: bool) -> int:
    """Return the number of the instance that a request of now is attributed to; `sessions` are in their order.

    Where no open session has room, the provider starts another instance, unless the product does that (`is_held`). The
    least busy one gets the request that no other can have.
    """
    opened = {
        number: len(each.running)
        for number, each in enumerate(sessions)
        if each and not each.is_over(idle_s, now, is_held=is_held)
    }
    with_room = [number for number, running in opened.items() if running < concurrency]
    if with_room or not opened:
        return min(with_room, default=FIRST)
    further = [number for number in range(len(sessions)) if number not in opened]
    if further and not is_held:
        return further[0]
    return min(opened, key=lambda number: (opened[number], number))

"""When need what was learned of a backend not be written at once?"""

from copy import replace
from typing import Final

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import FurtherInstance
from domain.fleet.instances.memory import memory_of

LEARN_S: Final = 5.0
WRITERS_AT_ONCE: Final = 16
"""So many other processes at most are expected to write within one call of the store."""

PARTS_OF_IDLE_PERIOD: Final = 60
"""The warm time that other processes know of a backend is short by this part of its idle period at most."""


def learn_s(backend: Backend) -> float:
    """Return for how many seconds an answer that shows nothing new need not be written."""
    cold_start = backend.cold_start
    return min(LEARN_S, cold_start.idle_s / PARTS_OF_IDLE_PERIOD) if cold_start.scales_to_zero else LEARN_S


def shows_nothing_new(before: BackendState, after: BackendState, *, within_s: float) -> bool:
    """Tell whether all that differs is the speed, and the warm time by less than so many seconds."""
    earlier, later = before.warmth.warm_until, after.warmth.warm_until
    moved_s = 0.0 if earlier == later else abs((later or 0.0) - (earlier or 0.0))
    warmth = replace(after.warmth, warm_until=earlier, further=before.warmth.further)
    same = replace(after, speed=before.speed, load=before.load, warmth=warmth)
    used_s = longer_used_s(before.warmth.further, after.warmth.further)
    return same == before and used_s is not None and max(moved_s, used_s) < within_s


def claims_scarce(before: BackendState, after: BackendState, backend: Backend, now: float) -> bool:
    """Tell whether attempts have claimed KV memory that another process may be giving away at the same time.

    It may not where so many processes could claim as much at once, and there would be room for all of it.
    """
    claims = [claim for name, claim in after.load.claims.items() if name not in before.load.claims]
    memory = memory_of(backend, after, now) if claims else None
    return memory is not None and sum(claims) * WRITERS_AT_ONCE > memory.free_beside()


def longer_used_s(before: tuple[FurtherInstance, ...], after: tuple[FurtherInstance, ...]) -> float | None:
    """Return for how much longer instances are known to be used; None where others run than before."""
    if before == after:
        return 0.0
    if [replace(each, used_at=0.0) for each in before] != [replace(each, used_at=0.0) for each in after]:
        return None
    return max(late.used_at - early.used_at for early, late in zip(before, after, strict=True))

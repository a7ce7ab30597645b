"""Which further instances run that a provider starts itself, as far as the requests tell? Times are seconds.

A provider starts one more where it sees more requests than the others have places for. So the product decides by what
it sends: beyond the places of the instances that run, it sends only after one more is worth its price. Until then that
instance is a claim; it runs from the first request that the others have no place for to the end of its idle period.
"""

from copy import replace

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import FurtherInstance, used
from domain.fleet.instances.scaling import Scaling

INFERRED = ""
"""Who has asked for an instance that nobody has claimed: the provider saw more requests than the product knew of."""


def grows_itself(backend: Backend) -> bool:
    """Return whether the provider starts further instances for the requests that the others have no room for."""
    return backend.max_instances > 1 and backend.scaling is Scaling.PROVIDER


def inferred(backend: Backend, state: BackendState, now: float) -> tuple[FurtherInstance, ...]:
    """Return the further instances that run, or that requests may start: those that have not ended."""
    seen = by_number(backend, state.load.running(now))
    known = alive(state.warmth.further, backend, state, seen=seen, now=now)
    return (*known, *unclaimed(seen - 1 - len(known), now))


def alive(
    further: tuple[FurtherInstance, ...], backend: Backend, state: BackendState, *, seen: int, now: float
) -> tuple[FurtherInstance, ...]:
    """Return those that have not ended, where the requests that run need `seen` instances."""
    idle_s, start_s = backend.cold_start.idle_s, state.start_times.p50_s
    return tuple(
        each
        for number, each in enumerate(further, start=1)
        if seen > number or (now < each.idle_since(start_s) + idle_s if each.is_set else not each.is_lost(now))
    )


def by_number(backend: Backend, requests: int) -> int:
    """Return how many instances a provider runs for so many requests at once: it counts them, whatever their size."""
    return max(1, min(backend.max_instances, -(-requests // backend.limits.concurrency)))


def after_requests(
    state: BackendState, backend: Backend, *, requests: int, needed: int, now: float
) -> tuple[FurtherInstance, ...]:
    """Return the further instances after so many requests ran at once, which `needed` instances have room for."""
    seen = by_number(backend, requests)
    known = alive(state.warmth.further, backend, state, seen=seen, now=now)
    started = tuple(
        replace(each, is_set=True, since=now) if number < seen and not each.is_set else each
        for number, each in enumerate(known, start=1)
    )
    return used((*started, *unclaimed(seen - 1 - len(started), now)), needed=needed, now=now)


def unclaimed(count: int, now: float) -> tuple[FurtherInstance, ...]:
    return (FurtherInstance(by=INFERRED, since=now, is_set=True),) * count

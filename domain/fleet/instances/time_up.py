"""For how long is a backend up without further turns, and for how long where the product lets it go?"""

from typing import NamedTuple

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.held_backend import provider_idle_s
from domain.fleet.instances.lease import CountLease, due_at, is_counted
from domain.fleet.instances.scaling import Scaling
from domain.money.sessions.gpu_sessions import GpuSession


class TimeUp(NamedTuple):
    """Seconds from now on: `left_s` as it is, `stays_s` where the product does no more for it."""

    left_s: float = 0.0
    stays_s: float = 0.0


def time_up(
    backend: Backend, state: BackendState, lease: CountLease | None, *, provider_end: float | None, now: float
) -> TimeUp:
    """Return the seconds of a backend under its lease. `provider_end` is when its provider ends it without requests.

    A counted backend is ended at once. One that requests keep alive stays up for the rest of its provider's idle
    period; so does one without a lease.
    """
    if not state.is_up(now):
        return TimeUp()
    if lease is None or backend.scaling is Scaling.PROVIDER:
        left_s = max(0.0, (state.warmth.warm_until or now) - now)
        return TimeUp(left_s, left_s)
    due_s = max(0.0, due_at(lease, backend, state, now) - now)
    if is_counted(backend):
        return TimeUp(due_s)
    stays_s = max(0.0, (now if provider_end is None else provider_end) - now)
    return TimeUp(max(due_s, stays_s), stays_s)


def end_by_provider(session: GpuSession, backend: Backend) -> float:
    """Return when the provider ends an instance without further requests."""
    return max(session.last_end, session.ready_time) + provider_idle_s(backend)

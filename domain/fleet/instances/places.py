"""How many requests have room in all instances of a backend that run now?"""

import math

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.scaling import Scaling


def instances_up(backend: Backend, state: BackendState, now: float) -> int:
    """Return how many instances take requests of now; one counts even if it is cold or starts.

    A provider starts further ones itself, as soon as the others have no room.
    """
    if backend.max_instances == 1:
        return 1
    if backend.scaling is not Scaling.COUNT:
        return backend.max_instances
    return 1 + sum(each.is_up(now, state.start_times.p99_s) for each in state.warmth.further)


def grows_itself(backend: Backend) -> bool:
    """Return whether the provider starts further instances for the requests that the others have no room for."""
    return backend.max_instances > 1 and backend.scaling is Scaling.PROVIDER


def instances_serving(backend: Backend, state: BackendState, requests: int, now: float) -> int:
    """Return how many instances share so many requests: a provider starts no more than those need places."""
    if not grows_itself(backend):
        return instances_up(backend, state, now)
    return max(1, min(backend.max_instances, -(-requests // backend.limits.concurrency)))


def beside_each_other(backend: Backend, state: BackendState, requests: int, now: float) -> int:
    """Return how many of so many requests run on the same instance."""
    return max(1, -(-requests // instances_serving(backend, state, requests, now)))


def is_growing(backend: Backend, state: BackendState, now: float, *, more: int = 0) -> bool:
    """Return whether the provider should see all requests of a start at once: one instance has no room for them.

    It starts as many instances as the requests need that it holds. `more` turns are not in the state.
    """
    requests = state.load.running(now) + state.load.queued(now) + more
    return grows_itself(backend) and requests > backend.limits.concurrency and state.warmth.is_starting(now)


def places(backend: Backend, state: BackendState, now: float) -> int:
    """Return how many requests may run at once."""
    return backend.limits.concurrency * instances_up(backend, state, now)


def next_instance_s(state: BackendState, now: float) -> float:
    """Return in how many seconds the next further instance takes requests; infinite where none is starting."""
    ready = (each.since + state.start_times.p99_s - now for each in state.warmth.further if each.is_set)
    return min((seconds for seconds in ready if seconds > 0), default=math.inf)

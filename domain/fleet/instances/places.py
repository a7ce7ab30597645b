"""How many requests have room in all instances of a backend that run now?"""

import math
from typing import Final

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.inferred import by_number, grows_itself, inferred
from domain.fleet.instances.scaling import Scaling

LEAD_S: Final = 8.0
"""Requests for a further instance are sent so long before half of all starts have ended.

The service holds them until an instance has room: an idle machine costs more than a request that is held.
"""


def lets_in_after_s(state: BackendState) -> float:
    """Return how long after its count was set a further instance is sent requests, in seconds."""
    return max(0.0, state.start_times.p50_s - LEAD_S)


def instances_up(backend: Backend, state: BackendState, now: float) -> int:
    """Return how many instances take requests of now; one counts even if it is cold or starts.

    A provider starts further ones itself, for requests that the others have no room for: those that are worth their
    price count as soon as that is known. While the first of several starts, all that start count: the service holds
    their requests.
    """
    if backend.max_instances == 1:
        return 1
    if grows_itself(backend):
        return 1 + len(inferred(backend, state, now))
    after_s = 0.0 if state.warmth.is_starting(now) else lets_in_after_s(state)
    return 1 + sum(each.is_up(now, after_s) for each in state.warmth.further)


def instances_asked(backend: Backend, state: BackendState, now: float) -> int:
    """Return how many instances run or are to run while any does."""
    return 1 + len(inferred(backend, state, now) if grows_itself(backend) else state.warmth.further)


def instances_serving(backend: Backend, state: BackendState, requests: int, now: float) -> int:
    """Return how many instances share so many requests: a provider starts no more than those need places."""
    if not grows_itself(backend):
        return instances_up(backend, state, now)
    return min(instances_up(backend, state, now), by_number(backend, requests))


def beside_each_other(backend: Backend, state: BackendState, requests: int, now: float) -> int:
    """Return how many of so many requests run on the same instance."""
    return max(1, -(-requests // instances_serving(backend, state, requests, now)))


def is_growing(backend: Backend, state: BackendState, now: float) -> bool:
    """Return whether the service should see all requests of a start at once: more than one instance is to start.

    It holds them, and starts as many instances as they need where the product has not set their number.
    """
    if not state.warmth.is_starting(now):
        return False
    if backend.scaling is Scaling.COUNT:
        return any(each.is_set for each in state.warmth.further)
    return grows_itself(backend) and bool(inferred(backend, state, now))


def places(backend: Backend, state: BackendState, now: float) -> int:
    """Return how many requests may run at once."""
    return backend.limits.concurrency * instances_up(backend, state, now)


def next_instance_s(state: BackendState, now: float) -> float:
    """Return in how many seconds the next further instance takes requests; infinite where none is starting."""
    ready = (each.since + lets_in_after_s(state) - now for each in state.warmth.further if each.is_set)
    return min((seconds for seconds in ready if seconds > 0), default=math.inf)


def longest_start_s(backend: Backend, state: BackendState, now: float) -> float:
    """Return how long a request may be held until a further instance is up; 0 where none may be starting."""
    if grows_itself(backend):
        return state.start_times.p99_s
    ends = (each.since + state.start_times.p99_s - now for each in state.warmth.further if each.is_set)
    return max([0.0, *ends])

"""When does a backend whose instances the product counts get one more, and when does its last one end?

The first instance is that of `lease.due_at`. Further ones end one after the other, the one with the highest number
first. Which machine the provider then removes is not known; each costs the same. Times are seconds since the epoch.
"""

import math
from copy import replace
from typing import Final

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import CLAIM_S, FurtherInstance, FurtherPause, GrowthReason
from domain.fleet.instances.inferred import grows_itself, inferred
from domain.fleet.instances.lease import LOOK_S, CountLease
from domain.fleet.instances.memory import instances_in_use
from domain.fleet.instances.scaling import FREE

SHORTEST_LOOK_S: Final = 1.0

FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 900.0
"""How long no further instance is asked for after the first refusal, and after many. Each call tries for a while."""


def wanted_count(state: BackendState) -> int:
    """Return how many instances are to run while any does."""
    return 1 + len(state.warmth.further)


def most_at(backend: Backend, now: float) -> int:
    """Return how many instances may run at a time."""
    if grows_itself(backend):
        return backend.max_instances
    return backend.instances.limits(now).maximum if backend.instances else 1


def after_claim(
    state: BackendState, backend: Backend, *, by: str, now: float, more: int = 1, why: GrowthReason | None = None
) -> BackendState | None:
    """Let the turn `by` start `more` instances, or as many as may still run.

    None where another turn starts some, where none more may run, and for a while after the API has refused one.
    """
    further = inferred(backend, state, now) if grows_itself(backend) else state.warmth.further
    is_open = state.is_up(now) or state.warmth.is_starting(now)
    is_claimed = any(not each.is_set or each.by == by for each in further)
    free = min(more, most_at(backend, now) - 1 - len(further))
    if not is_open or is_claimed or free < 1 or state.warmth.is_further_paused(now):
        return None
    before = 1 + len(further)
    grown = replace(why, before=before, after=before + free) if why else None
    return with_further(state, (*further, *[FurtherInstance(by=by, since=now, why=grown)] * free))


def after_count(state: BackendState, *, by: str, now: float) -> BackendState:
    """Learn that the count was set that includes the instances of `by`: they start now."""
    started = (replace(each, is_set=True, since=now) if each.by == by else each for each in state.warmth.further)
    return without_pause(with_further(state, tuple(started)))


def after_giving_up(state: BackendState, *, by: str, kept: int = 0) -> BackendState:
    """Learn that the instances that `by` has claimed were not started, but for the first `kept` of them."""
    claimed = [each for each in state.warmth.further if not each.is_set and each.by == by]
    others = tuple(each for each in state.warmth.further if each.is_set or each.by != by)
    return with_further(state, (*others, *claimed[:kept]))


def after_refusal(state: BackendState, *, now: float) -> BackendState:
    """Learn that the API has refused a higher count: the next one is asked for after a pause, longer each time."""
    before = state.warmth.further_pause
    tries = 1 + (before.tries if before else 0)
    pause_s = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10), LONGEST_PAUSE_S)
    pause = FurtherPause(until=now + pause_s, tries=tries)
    return replace(state, warmth=replace(state.warmth, further_pause=pause))


def without_pause(state: BackendState) -> BackendState:
    if state.warmth.further_pause is None:
        return state
    return replace(state, warmth=replace(state.warmth, further_pause=None))


def after_last_end(state: BackendState, lease: CountLease, backend: Backend, *, now: float) -> BackendState | None:
    """Learn that the product ends the last further instance; None where it is needed again."""
    if last_due_at(lease, backend, state, now) > now:
        return None
    return with_further(state, state.warmth.further[:-1])


def last_due_at(lease: CountLease, backend: Backend, state: BackendState, now: float) -> float:
    """Return when the last further instance is to end; infinite without one.

    It ends when it was idle for the idle period of the sessions, never while turns are in line, nor while the others
    have no room for all that run, nor below the minimum of the schedule.
    """
    further = state.warmth.further
    if not further:
        return math.inf
    last, others = further[-1], len(further)
    if last.is_lost(now) or (last.is_set and lease.target <= others):
        return now
    if not last.is_set:
        return last.since + CLAIM_S
    if instances_in_use(backend, state.load, now) > others:
        return now + look_s(backend, state)
    return due_when_idle(last, others, backend, state, now)


def due_when_idle(last: FurtherInstance, others: int, backend: Backend, state: BackendState, now: float) -> float:
    """Return when an instance ends for which nothing runs now, beside so many others."""
    limits = backend.instances.limits(now) if backend.instances else FREE
    if others >= limits.maximum:
        return now
    if backend.instances and limits.minimum > others:
        return backend.instances.next_change(now)
    if state.load.queued(now):
        return now + look_s(backend, state)
    return last.idle_since(state.start_times.p99_s) + state.warmth.idle_period_s(backend)


def look_s(backend: Backend, state: BackendState) -> float:
    """Return how long until a further instance that is in use is looked at again."""
    return min(LOOK_S, max(SHORTEST_LOOK_S, state.warmth.idle_period_s(backend)))


def with_further(state: BackendState, further: tuple[FurtherInstance, ...]) -> BackendState:
    if further == state.warmth.further:
        return state
    return replace(state, warmth=replace(state.warmth, further=further))

"""How does an attempt or a warm-up change the state of a backend?

A state update is a function from the previous state to the next. Times are seconds since the epoch.
"""

from copy import replace

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import SILENCE_S, WarmUp, first_start, lease_s, observed_start_s
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.instances.further import used
from domain.fleet.instances.inferred import after_requests, grows_itself
from domain.fleet.instances.memory import instances_in_use
from domain.fleet.instances.places import beside_each_other
from domain.fleet.instances.scaling import Scaling
from domain.fleet.learned_speed import Observation
from domain.fleet.load import QueuePlace


def after_start(
    state: BackendState, *, attempt: str, until: float, now: float, response: str = "", claim: int = 0
) -> BackendState:
    """Count an attempt as running until it ends or `until` has passed; its turn leaves the queue.

    `claim` is the tokens of KV memory that it may need.
    """
    load = state.load.without_place(response).with_attempt(attempt, until=until, now=now, claim=claim)
    return replace(state, load=load)


def after_end(state: BackendState, *, attempt: str) -> BackendState:
    """Count an attempt as ended, and learn nothing else."""
    return replace(state, load=state.load.without_attempt(attempt))


def after_success(state: BackendState, seen: Observation, backend: Backend) -> BackendState:
    """Learn the speed and the warm time from an answer.

    It ends an error state only if its request is later than the last failure: an answer that was under way says nothing
    about what came after it.
    """
    warmth = replace(state.warmth, warm_until=None, warm_up=None, failed_warm_up=None)
    if backend.cold_start.scales_to_zero:
        warmth = state.warmth.warm(seen.ended_at + state.warmth.idle_period_s(backend))
    return replace(
        state,
        speed=state.speed.after(seen, running=mean_load(state, seen, backend)),
        warmth=warmth,
        health=state.health.after_success(asked_at=seen.started_at),
        load=state.load.without_attempt(seen.attempt),
    )


def mean_load(state: BackendState, seen: Observation, backend: Backend) -> int:
    """Return how many requests ran on the instance of an answer, itself included: between its begin and its end."""
    at_end = max(1, state.load.running(seen.ended_at))
    at_begin = at_end if seen.beside is None else seen.beside + 1
    return beside_each_other(backend, state, -(-(at_begin + at_end) // 2), seen.ended_at)


def after_failure(
    state: BackendState, diagnosis: Diagnosis, backend: Backend, *, attempt: str, asked_at: float, now: float
) -> BackendState:
    """Learn from a failure by its class. A request that is wrong or too big says nothing about the backend."""
    ended, health = after_end(state, attempt=attempt), state.health
    match diagnosis.failure_class:
        case FailureClass.COLD:
            return after_cold(ended, backend, attempt=attempt, asked_at=asked_at, now=now)
        case FailureClass.THROTTLED:
            return replace(ended, health=health.after_throttling(diagnosis.delay_s, now=now))
        case FailureClass.BROKEN | FailureClass.INDETERMINATE:
            in_vain = state.warmth.is_warmed_up_by(attempt)
            warmth = replace(state.warmth, warm_up=None) if in_vain else state.warmth
            return replace(ended, health=health.after_error(now=now), warmth=warmth)
        case FailureClass.CLIENT | FailureClass.UNFIT:
            return replace(ended, health=replace(health, probe_until=None))


def after_cold(state: BackendState, backend: Backend, *, attempt: str, asked_at: float, now: float) -> BackendState:
    """Learn that it is not up: without a warm-up under way, this request started it. A full backend is up."""
    warmth = state.warmth
    if not backend.cold_start.scales_to_zero:
        return state
    if warmth.warm_until is not None and warmth.warm_until - warmth.idle_period_s(backend) >= asked_at:
        return state
    if backend.max_instances > 1 and state.load.running(now) >= backend.limits.concurrency:
        return state
    cold = replace(warmth, warm_until=None, failed_warm_up=None)
    under_way = warmth.start_under_way(now)
    if under_way:
        cold = replace(cold, warm_up=replace(under_way, cold_at=now))
    elif backend.scaling is not Scaling.COUNT and not warmth.must_hold_request(backend):
        until, lost = asked_at + lease_s(state.start_times.p99_s), warmth.lost_warm_ups + (warmth.warm_up is not None)
        first = first_start(warmth.warm_up, asked_at)
        started = WarmUp(by=attempt, since=asked_at, cold_at=now, until=until, first_since=first)
        cold = replace(cold, warm_up=started, started_at=asked_at, lost_warm_ups=lost)
    return replace(state, warmth=cold)


def after_opening(state: BackendState, backend: Backend, *, asked_at: float, opened_at: float) -> BackendState:
    """Learn that a request was accepted: the backend is up, and this is how long a start under way took."""
    warmth = state.warmth
    up = warmth.warm(opened_at + warmth.idle_period_s(backend))
    if warmth.warm_up is None or warmth.is_warm(opened_at):
        return replace(state, warmth=up)
    took_s = start_seen(state, asked_at=asked_at, opened_at=opened_at)
    times = state.start_times if took_s is None else state.start_times.after(took_s, longest_s=backend.cold_start.p99_s)
    lost = warmth.lost_warm_ups if warmth.warm_up.held_until else 0
    return replace(state, warmth=replace(up, lost_warm_ups=lost), start_times=times)


def start_seen(state: BackendState, *, asked_at: float, opened_at: float) -> float | None:
    """Return how long the start took, from a request accepted now; None if none was under way, or it is not known.

    After a warm-up that counted as lost the first one counts: its start may have been under way all the time.
    """
    warm_up, times = state.warmth.warm_up, state.start_times
    if warm_up is None or state.warmth.is_warm(opened_at):
        return None
    took_s = observed_start_s(warm_up, asked_at=asked_at, opened_at=opened_at, p50_s=times.p50_s, p99_s=times.p99_s)
    return took_s if took_s is None or warm_up.first_since is None else opened_at - warm_up.first_since


def after_warm_up(
    state: BackendState, backend: Backend, *, by: str, now: float, traceparent: str = ""
) -> BackendState | None:
    """Record the warm-up of `by`; None if it is up or another warm-up is under way. A repeated one is the same one."""
    warmth = state.warmth
    if state.is_up(now):
        return None
    if warmth.start_under_way(now):
        return state if warmth.is_warmed_up_by(by) else None
    until = now + backend.cold_start.warm_up_hold_s + lease_s(state.start_times.p99_s)
    lost = warmth.lost_warm_ups + (warmth.warm_up is not None)
    held_until = now + SILENCE_S if warmth.must_hold_request(backend) else None
    warm_up = WarmUp(
        by=by,
        since=now,
        cold_at=now,
        until=until,
        held_until=held_until,
        traceparent=traceparent,
        first_since=first_start(warmth.warm_up, now),
    )
    idle_s = None if backend.scaling is Scaling.PROVIDER else backend.cold_start.idle_s
    return replace(state, warmth=replace(warmth, warm_up=warm_up, started_at=now, lost_warm_ups=lost, idle_s=idle_s))


def after_stop(state: BackendState, backend: Backend, *, now: float, looked_at: float) -> BackendState | None:
    """Learn that the product ends the instance; None where turns run there or are in line, or a start began since.

    Nor does it end while a higher count is being set: that would come after the count of 0.
    Turns in line do not keep up what the schedule does not allow.
    """
    start = state.warmth.start_under_way(now)
    may_run = not backend.instances or backend.instances.limits(now).maximum > 0
    has_turns = state.load.running(now) or (may_run and state.is_up(now) and state.load.queued(now))
    is_needed = has_turns or state.warmth.is_growing(now) or (start is not None and start.since >= looked_at)
    return None if is_needed else replace(state, warmth=state.warmth.stopped())


def after_letting_go(state: BackendState, *, until: float, now: float) -> BackendState | None:
    """Learn that no more requests keep it up, so it ends then; None where turns run there or are in line."""
    is_needed = state.load.running(now) or state.load.queued(now) or state.warmth.start_under_way(now)
    return None if is_needed else replace(state, warmth=state.warmth.let_go(until))


def after_keeping(state: BackendState, *, until: float) -> BackendState:
    """Learn that the product keeps an instance up until then; one that is not known to be up stays unknown."""
    warmth = state.warmth
    return state if warmth.warm_until is None else replace(state, warmth=warmth.warm(until))


def after_release(state: BackendState, *, by: str) -> BackendState:
    """Learn that the warm-up of `by` was never sent: nothing starts."""
    return replace(state, warmth=state.warmth.released(by=by))


def after_sending(state: BackendState, *, by: str, now: float) -> BackendState:
    """Learn that a warm-up was sent late because authentication took long: the start begins now."""
    return replace(state, warmth=state.warmth.sent(by=by, now=now))


def after_hold(state: BackendState, *, by: str, now: float, held_until: float | None) -> BackendState:
    """Learn that a held warm-up found it still not up; `held_until` is set if it is held further."""
    return replace(state, warmth=state.warmth.held(by=by, now=now, held_until=held_until))


def after_failed_warm_up(state: BackendState, diagnosis: Diagnosis, *, by: str, now: float) -> BackendState:
    """Learn that a warm-up was rejected or not sent: nothing starts. The warm-up of another turn stays."""
    return replace(state, warmth=state.warmth.failed(diagnosis, by=by, now=now))


def after_queueing(state: BackendState, response: str, place: QueuePlace, *, now: float) -> BackendState:
    """Keep a turn's place in the queue."""
    return replace(state, load=state.load.with_place(response, place, now=now))


def after_use(before: BackendState, state: BackendState, backend: Backend, now: float) -> BackendState:
    """Learn which further instances the attempts needed that ran before a change or run after it."""
    further, is_inferred = state.warmth.further, grows_itself(backend)
    if not (further or is_inferred):
        return state
    needed = max(instances_in_use(backend, each.load, now) for each in (before, state))
    if is_inferred:
        requests = max(each.load.running(now) for each in (before, state))
        seen = after_requests(state, backend, requests=requests, needed=needed, now=now)
    else:
        seen = used(further, needed=needed, now=now)
    return state if seen == further else replace(state, warmth=replace(state.warmth, further=seen))


def after_leaving_queue(state: BackendState, response: str) -> BackendState:
    """Give up a turn's place in the queue: the turn has moved to another backend or has ended."""
    return replace(state, load=state.load.without_place(response))


def after_probe(state: BackendState, *, by: str, now: float) -> BackendState | None:
    """Let `by` try an uncertain backend; None if another turn is trying it."""
    health = state.health.probed_by(by, now=now)
    return None if health is None else replace(state, health=health)

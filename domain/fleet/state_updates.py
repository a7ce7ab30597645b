"""How does an attempt or a warm-up change the state of a backend?

A state update is a function from the previous state to the next. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from domain.fleet.backend_state import CIRCUIT_ERRORS, BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import SILENCE_S, FailedWarmUp, WarmUp, lease_s, observed_start_s
from domain.fleet.failure_classes import Diagnosis, FailureClass
from domain.fleet.retry_policy import WARM_UP_POLICIES, retry_delay

LEARNING: Final = 0.2
"""The weight of a new measurement of speed: about the last ten attempts count."""

LEAP: Final = 4.0
"""A measurement counts as at most this many times faster or slower than the learned speed."""

LEAST_INPUT: Final = 256
LEAST_OUTPUT: Final = 16
"""Fewer tokens measure the network rather than the model."""

COLD_SAMPLES: Final = 32
"""So many cold starts are remembered; below `ENOUGH_COLD_SAMPLES` the configured 99th percentile is a floor."""
ENOUGH_COLD_SAMPLES: Final = 8

THROTTLE_S: Final = 5.0
"""How long a throttled backend is left alone when it named no delay."""
LONGEST_THROTTLE_S: Final = 3600.0
"""Whatever delay it named: then a turn looks whether that still holds."""

CIRCUIT_S: Final = 5.0
LONGEST_CIRCUIT_S: Final = 300.0
"""A circuit opens for 5 s, doubled by each further error up to five minutes."""

PROBE_S: Final = 60.0
"""A circuit that was open lets one attempt through; one that shows nothing for so long is not waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a finished attempt was seen to do. `cold_s`: the part before the backend was up, None where it was warm."""

    attempt: str
    started_at: float
    first_token_at: float
    ended_at: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cold_s: float | None = None


def after_start(state: BackendState, *, attempt: str, until: float, now: float, response: str = "") -> BackendState:
    """Count an attempt as running until it ends or `until` has passed; its turn leaves the queue.

    A repeated update counts once.
    """
    alive = {name: end for name, end in state.in_flight.items() if end > now}
    queue_places = {name: ticket for name, ticket in state.queue_places.items() if name != response}
    return replace(state, in_flight={**alive, attempt: until}, queue_places=queue_places)


def after_success(state: BackendState, seen: Observation, backend: Backend) -> BackendState:
    """Learn the speed and the warm time from an answer, and reset the errors."""
    prefill_s = seen.first_token_at - seen.started_at - (seen.cold_s or 0.0)
    read_tokens = seen.input_tokens - seen.cached_tokens
    return replace(
        state,
        in_flight=without(state.in_flight, seen.attempt),
        prefill_tokens_s=learned_speed(state.prefill_tokens_s, read_tokens, prefill_s, least=LEAST_INPUT),
        decode_tokens_s=learned_speed(
            state.decode_tokens_s, seen.output_tokens - 1, seen.ended_at - seen.first_token_at, least=LEAST_OUTPUT
        ),
        warm_until=later(state.warm_until, seen.ended_at + backend.cold_start.idle_s)
        if backend.cold_start.scales_to_zero
        else None,
        errors=0,
        cooldown_until=None,
        circuit_open_until=None,
        probe_by="",
        probe_until=None,
        warm_up=None,
        failed_warm_up=None,
        service_s=learned_service_time(state.service_s, seen.ended_at - seen.started_at - (seen.cold_s or 0.0)),
    )


def after_failure(
    state: BackendState, diagnosis: Diagnosis, backend: Backend, *, attempt: str, asked_at: float, now: float
) -> BackendState:
    """Learn from a failure by its class. A request that is wrong or too big says nothing about the backend."""
    ended = replace(state, in_flight=without(state.in_flight, attempt))
    match diagnosis.failure_class:
        case FailureClass.COLD:
            return after_cold(ended, backend, attempt=attempt, asked_at=asked_at, now=now)
        case FailureClass.THROTTLED:
            delay_s = THROTTLE_S if diagnosis.delay_s is None else diagnosis.delay_s
            until = now + min(delay_s, LONGEST_THROTTLE_S)
            return replace(ended, cooldown_until=later(state.cooldown_until, until), probe_until=None)
        case FailureClass.BROKEN | FailureClass.INDETERMINATE:
            errors = state.errors + 1
            opened = replace(ended, errors=errors, circuit_open_until=circuit_until(errors, now), probe_until=None)
            in_vain = state.warm_up is not None and state.warm_up.by == attempt
            return replace(opened, warm_up=None) if in_vain else opened
        case FailureClass.CLIENT | FailureClass.UNFIT:
            return replace(ended, probe_until=None)


def after_cold(state: BackendState, backend: Backend, *, attempt: str, asked_at: float, now: float) -> BackendState:
    """Learn that it is not up: without a warm-up under way, this request started it. A full backend is up."""
    if not backend.cold_start.scales_to_zero:
        return state
    if state.warm_until is not None and state.warm_until - backend.cold_start.idle_s >= asked_at:
        return state
    cold = replace(state, warm_until=None, failed_warm_up=None)
    if state.warm_up and state.warm_up.under_way(now):
        return replace(cold, warm_up=replace(state.warm_up, cold_at=now))
    if state.must_hold_request(backend):
        return cold
    return replace(
        cold, warm_up=WarmUp(by=attempt, since=asked_at, cold_at=now, until=asked_at + lease_s(state.cold_p99_s))
    )


def after_opening(state: BackendState, backend: Backend, *, asked_at: float, opened_at: float) -> BackendState:
    """Learn that a request was accepted: the backend is up, and this is how long a start under way took."""
    warm_until = later(state.warm_until, opened_at + backend.cold_start.idle_s)
    up = replace(state, warm_until=warm_until, warm_up=None, failed_warm_up=None)
    took_s = start_seen(state, asked_at=asked_at, opened_at=opened_at)
    if state.warm_up is None or took_s is None:
        return up
    lost = state.lost_warm_ups if state.warm_up.held_until else 0
    return replace(after_cold_start(up, took_s, backend), lost_warm_ups=lost)


def start_seen(state: BackendState, *, asked_at: float, opened_at: float) -> float | None:
    """Return how long the start took, from a request accepted now; None if no start was under way."""
    if state.warm_up is None or state.is_warm(opened_at):
        return None
    return observed_start_s(state.warm_up, asked_at=asked_at, opened_at=opened_at)


def after_warm_up(state: BackendState, backend: Backend, *, by: str, now: float) -> BackendState | None:
    """Record the warm-up of `by`; None if it is up or another warm-up is under way. A repeated one is the same one."""
    if state.is_warm(now):
        return None
    if state.warm_up and state.warm_up.under_way(now):
        return state if state.warm_up.by == by else None
    until = now + backend.cold_start.warm_up_hold_s + lease_s(state.cold_p99_s)
    lost = state.lost_warm_ups + (state.warm_up is not None)
    held_until = now + SILENCE_S if state.must_hold_request(backend) else None
    woken = WarmUp(by=by, since=now, cold_at=now, until=until, held_until=held_until)
    return replace(state, warm_up=woken, lost_warm_ups=lost)


def after_sending(state: BackendState, *, by: str, now: float) -> BackendState:
    """Learn that a warm-up was sent late because authentication took long: the start begins now."""
    warm_up = state.warm_up
    if warm_up is None or warm_up.by != by:
        return state
    return replace(state, warm_up=replace(warm_up, since=now, cold_at=now, until=warm_up.until + now - warm_up.since))


def after_hold(state: BackendState, *, by: str, now: float, held_until: float | None) -> BackendState:
    """Learn that a held warm-up found it still not up; `held_until` is set if it is held further."""
    if state.warm_up is None or state.warm_up.by != by:
        return state
    return replace(state, warm_up=replace(state.warm_up, cold_at=now, held_until=held_until), failed_warm_up=None)


def after_failed_warm_up(state: BackendState, diagnosis: Diagnosis, *, by: str, now: float) -> BackendState:
    """Learn that a warm-up was rejected or not sent: nothing starts. The warm-up of another turn stays."""
    if state.warm_up is None or state.warm_up.by != by:
        return state
    tries = 1 + (state.failed_warm_up.tries if state.failed_warm_up else 0)
    policy = WARM_UP_POLICIES[diagnosis.failure_class]
    pause_s = min(retry_delay(policy, diagnosis, attempts=tries, random=1.0), policy.cap_s)
    failed = FailedWarmUp(
        at=now, again_at=now + pause_s, tries=tries, final=tries >= policy.tries, reason=diagnosis.reason
    )
    return replace(state, warm_up=None, failed_warm_up=failed)


def after_queueing(state: BackendState, response: str, *, admitted_at: float, until: float, now: float) -> BackendState:
    """Keep a turn's place in the queue."""
    kept = {name: ticket for name, ticket in state.queue_places.items() if ticket[1] > now}
    return replace(state, queue_places={**kept, response: (admitted_at, until)})


def after_probe(state: BackendState, *, by: str, now: float) -> BackendState | None:
    """Let `by` try a backend in doubt; None if another turn is trying it."""
    if state.probed(now) and state.probe_by != by:
        return None
    return replace(state, probe_by=by, probe_until=now + PROBE_S)


def after_cold_start(state: BackendState, cold_s: float, backend: Backend) -> BackendState:
    """Add a measured cold start to the samples and take the quantiles from them."""
    samples = (*state.cold_samples, max(0.0, cold_s))[-COLD_SAMPLES:]
    ordered = sorted(samples)
    longest = ordered[-1] if len(ordered) >= ENOUGH_COLD_SAMPLES else max(ordered[-1], backend.cold_start.p99_s)
    return replace(state, cold_samples=samples, cold_p50_s=ordered[(len(ordered) - 1) // 2], cold_p99_s=longest)


def learned_speed(learned: float, tokens: int, seconds: float, *, least: int) -> float:
    """Move the learned speed, in tokens a second, towards a measured one."""
    if tokens < least or seconds <= 0:
        return learned
    measured = min(max(tokens / seconds, learned / LEAP), learned * LEAP)
    return learned + LEARNING * (measured - learned)


def learned_service_time(learned: float | None, seconds: float) -> float:
    return round(seconds if learned is None else learned + LEARNING * (seconds - learned), 3)


def circuit_until(errors: int, now: float) -> float | None:
    if errors < CIRCUIT_ERRORS:
        return None
    doublings = min(errors - CIRCUIT_ERRORS, 10)
    return now + min(CIRCUIT_S * 2**doublings, LONGEST_CIRCUIT_S)


def later(known: float | None, found: float) -> float:
    return found if known is None else max(known, found)


def without(in_flight: Mapping[str, float], attempt: str) -> Mapping[str, float]:
    return {name: until for name, until in in_flight.items() if name != attempt}

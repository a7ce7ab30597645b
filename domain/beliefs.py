"""What do we believe of a backend, and what does an attempt teach us?

Beliefs start from the fleet's file and live in the store. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Self

from domain.fleet import Backend
from domain.postures import Diagnosis, Posture

VERSION: Final = 1

LEARNING: Final = 0.2
"""The weight of a new measurement of speed: about the last ten attempts count."""

LEAP: Final = 4.0
"""A measurement moves a speed as if it were at most this many times faster or slower than believed."""

LEAST_INPUT: Final = 256
LEAST_OUTPUT: Final = 16
"""Fewer tokens measure the network rather than the model."""

COLD_SAMPLES: Final = 32
"""So many cold starts are remembered; below `ENOUGH_COLD_SAMPLES` the configured 99th percentile is a floor."""
ENOUGH_COLD_SAMPLES: Final = 8

THROTTLE_S: Final = 5.0
"""How long a throttled backend is left alone when it named no delay."""

CIRCUIT_ERRORS: Final = 3
CIRCUIT_S: Final = 5.0
LONGEST_CIRCUIT_S: Final = 300.0
"""After three errors in a row a circuit opens for 5 s, doubled by each further error up to five minutes."""

NOBODY: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """`in_flight` maps each running attempt to when it must have ended, so that one that died is not counted for ever.

    `errors` counts failures since the last success. A backend that never scales to zero has no `warm_until`.
    """

    backend: str
    cold_p50_s: float
    cold_p99_s: float
    prefill_tokens_s: float
    decode_tokens_s: float
    warm_until: float | None = None
    cold_samples: tuple[float, ...] = ()
    in_flight: Mapping[str, float] = NOBODY
    errors: int = 0
    cooldown_until: float | None = None
    circuit_open_until: float | None = None

    def running(self, now: float) -> int:
        return sum(until > now for until in self.in_flight.values()) if self.in_flight else 0

    def is_warm(self, now: float) -> bool:
        return self.warm_until is not None and self.warm_until > now

    def to_document(self) -> dict[str, Any]:
        shape = asdict(replace(self, in_flight=dict(self.in_flight)))
        return {"v": VERSION, **shape, "cold_samples": list(self.cold_samples)}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        fields: dict[str, Any] = {name: value for name, value in body.items() if name in cls.__dataclass_fields__}
        fields["cold_samples"] = tuple(body["cold_samples"])
        return cls(**fields)


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


def seed(backend: Backend) -> Belief:
    return Belief(
        backend=backend.name,
        cold_p50_s=backend.cold.p50_s,
        cold_p99_s=backend.cold.p99_s,
        prefill_tokens_s=backend.speed.prefill_tokens_s,
        decode_tokens_s=backend.speed.decode_tokens_s,
    )


def after_start(belief: Belief, *, attempt: str, until: float, now: float) -> Belief:
    """Count an attempt as running until it ends or `until` has passed. Saying it twice counts it once."""
    alive = {name: end for name, end in belief.in_flight.items() if end > now}
    return replace(belief, in_flight={**alive, attempt: until})


def after_success(belief: Belief, seen: Observation, backend: Backend) -> Belief:
    """Learn from an answer: how fast, how long the start took, how long it stays warm. Errors are forgiven."""
    learned = belief if seen.cold_s is None else after_cold_start(belief, seen.cold_s, backend)
    prefill_s = seen.first_token_at - seen.started_at - (seen.cold_s or 0.0)
    read_tokens = seen.input_tokens - seen.cached_tokens
    return replace(
        learned,
        in_flight=without(belief.in_flight, seen.attempt),
        prefill_tokens_s=learned_speed(belief.prefill_tokens_s, read_tokens, prefill_s, least=LEAST_INPUT),
        decode_tokens_s=learned_speed(
            belief.decode_tokens_s, seen.output_tokens - 1, seen.ended_at - seen.first_token_at, least=LEAST_OUTPUT
        ),
        warm_until=later(belief.warm_until, seen.ended_at + backend.cold.tail_s)
        if backend.cold.scales_to_zero
        else None,
        errors=0,
        cooldown_until=None,
        circuit_open_until=None,
    )


def after_failure(belief: Belief, diagnosis: Diagnosis, *, attempt: str, now: float) -> Belief:
    """Learn from a failure by its posture. A request that is wrong or too big teaches nothing about the backend."""
    ended = replace(belief, in_flight=without(belief.in_flight, attempt))
    match diagnosis.posture:
        case Posture.COLD:
            return replace(ended, warm_until=None)
        case Posture.THROTTLED:
            delay_s = THROTTLE_S if diagnosis.delay_s is None else diagnosis.delay_s
            return replace(ended, cooldown_until=later(belief.cooldown_until, now + delay_s))
        case Posture.BROKEN | Posture.INDETERMINATE:
            errors = belief.errors + 1
            return replace(ended, errors=errors, circuit_open_until=circuit_until(errors, now))
        case Posture.CLIENT | Posture.UNFIT:
            return ended


def after_cold_start(belief: Belief, cold_s: float, backend: Backend) -> Belief:
    """Add a measured cold start to the remembered ones, whose quantiles are then believed."""
    samples = (*belief.cold_samples, max(0.0, cold_s))[-COLD_SAMPLES:]
    ordered = sorted(samples)
    longest = ordered[-1] if len(ordered) >= ENOUGH_COLD_SAMPLES else max(ordered[-1], backend.cold.p99_s)
    return replace(belief, cold_samples=samples, cold_p50_s=ordered[len(ordered) // 2], cold_p99_s=longest)


def learned_speed(believed: float, tokens: int, seconds: float, *, least: int) -> float:
    """Move a believed speed, in tokens a second, towards a measured one."""
    if tokens < least or seconds <= 0:
        return believed
    measured = min(max(tokens / seconds, believed / LEAP), believed * LEAP)
    return believed + LEARNING * (measured - believed)


def circuit_until(errors: int, now: float) -> float | None:
    if errors < CIRCUIT_ERRORS:
        return None
    doublings = min(errors - CIRCUIT_ERRORS, 10)
    return now + min(CIRCUIT_S * 2**doublings, LONGEST_CIRCUIT_S)


def later(known: float | None, found: float) -> float:
    return found if known is None else max(known, found)


def without(in_flight: Mapping[str, float], attempt: str) -> Mapping[str, float]:
    return {name: until for name, until in in_flight.items() if name != attempt}

"""What do we believe of a backend, and what does an attempt teach us?

Beliefs start from the fleet's file and live in the store. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Self

from domain.fleet import Backend
from domain.postures import Diagnosis, Posture
from domain.starting import Wake, lease_s, rest_s, start_s

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

PROBE_S: Final = 60.0
"""A circuit that was open lets one attempt through; one that shows nothing for so long is not waited for."""

NOBODY: Final[Mapping[str, float]] = MappingProxyType({})
NO_TICKETS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """`in_flight` maps each running attempt to when it must have ended, so that one that died is not counted for ever.

    `errors` counts failures since the last success; `probe_by` may try whether it is over, until `probe_until`. A
    backend that never scales to zero has no `warm_until`. `waking` is a start under way, `lost_wakes` counts those that
    came to nothing. `service_s` is how long it works on a request. `tickets` maps each turn that waits for room to when
    it was admitted and how long its place is kept.
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
    probe_by: str = ""
    probe_until: float | None = None
    waking: Wake | None = None
    lost_wakes: int = 0
    service_s: float | None = None
    tickets: Mapping[str, tuple[float, float]] = NO_TICKETS

    def running(self, now: float) -> int:
        return sum(until > now for until in self.in_flight.values()) if self.in_flight else 0

    def is_warm(self, now: float) -> bool:
        return self.warm_until is not None and self.warm_until > now

    def is_starting(self, now: float) -> bool:
        return self.waking is not None and self.waking.under_way(now) and not self.is_warm(now)

    @property
    def in_doubt(self) -> bool:
        """Tell whether its circuit is, or was, open and nothing has been seen of it since."""
        return self.errors >= CIRCUIT_ERRORS

    def probed(self, now: float) -> bool:
        return self.in_doubt and self.probe_until is not None and self.probe_until > now

    def rests_s(self, now: float) -> tuple[float, float]:
        """Return the seconds until it is up, as expected and where it is slow.

        Those of a start under way, else of one that begins now.
        """
        elapsed_s = now - self.waking.since if self.waking and self.waking.under_way(now) else 0.0
        expected_s = rest_s(elapsed_s, p50_s=self.cold_p50_s, p99_s=self.cold_p99_s)
        return round(expected_s, 3), max(expected_s, self.cold_p99_s - elapsed_s)

    def must_hold(self, backend: Backend) -> bool:
        """Tell whether a start ends with the request that caused it: as configured, or as a lost wake has shown."""
        return not backend.cold.abandoned_starts or self.lost_wakes > 0

    def ahead_of(self, response: str, admitted_at: float, now: float) -> int:
        """Count the turns that wait for room and were admitted before this one."""
        mine = (admitted_at, response)
        return sum(until > now and (at, name) < mine for name, (at, until) in self.tickets.items())

    def to_document(self) -> dict[str, Any]:
        tickets = {name: list(ticket) for name, ticket in self.tickets.items()}
        shape = asdict(replace(self, in_flight=dict(self.in_flight), tickets={}))
        return {"v": VERSION, **shape, "cold_samples": list(self.cold_samples), "tickets": tickets}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        fields: dict[str, Any] = {name: value for name, value in body.items() if name in cls.__dataclass_fields__}
        fields["cold_samples"] = tuple(body["cold_samples"])
        fields["waking"] = Wake(**body["waking"]) if body.get("waking") else None
        fields["tickets"] = {name: (at, until) for name, (at, until) in body.get("tickets", {}).items()}
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


def after_start(belief: Belief, *, attempt: str, until: float, now: float, response: str = "") -> Belief:
    """Count an attempt as running until it ends or `until` has passed; its turn's place in the queue is given up.

    Saying it twice counts it once.
    """
    alive = {name: end for name, end in belief.in_flight.items() if end > now}
    tickets = {name: ticket for name, ticket in belief.tickets.items() if name != response}
    return replace(belief, in_flight={**alive, attempt: until}, tickets=tickets)


def after_success(belief: Belief, seen: Observation, backend: Backend) -> Belief:
    """Learn from an answer: how fast, how long it stays warm. Errors are forgiven."""
    prefill_s = seen.first_token_at - seen.started_at - (seen.cold_s or 0.0)
    read_tokens = seen.input_tokens - seen.cached_tokens
    return replace(
        belief,
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
        probe_by="",
        probe_until=None,
        waking=None,
        service_s=learned_service(belief.service_s, seen.ended_at - seen.started_at - (seen.cold_s or 0.0)),
    )


def after_failure(
    belief: Belief, diagnosis: Diagnosis, backend: Backend, *, attempt: str, asked_at: float, now: float
) -> Belief:
    """Learn from a failure by its posture. A request that is wrong or too big teaches nothing about the backend."""
    ended = replace(belief, in_flight=without(belief.in_flight, attempt))
    match diagnosis.posture:
        case Posture.COLD:
            return after_cold(ended, backend, attempt=attempt, asked_at=asked_at, now=now)
        case Posture.THROTTLED:
            delay_s = THROTTLE_S if diagnosis.delay_s is None else diagnosis.delay_s
            return replace(ended, cooldown_until=later(belief.cooldown_until, now + delay_s), probe_until=None)
        case Posture.BROKEN | Posture.INDETERMINATE:
            errors = belief.errors + 1
            opened = replace(ended, errors=errors, circuit_open_until=circuit_until(errors, now), probe_until=None)
            in_vain = belief.waking is not None and belief.waking.by == attempt
            return replace(opened, waking=None) if in_vain else opened
        case Posture.CLIENT | Posture.UNFIT:
            return replace(ended, probe_until=None)


def after_cold(belief: Belief, backend: Backend, *, attempt: str, asked_at: float, now: float) -> Belief:
    """Learn that it is not up: where nobody has, this request has woken it. One that is full since is up."""
    if not backend.cold.scales_to_zero:
        return belief
    if belief.warm_until is not None and belief.warm_until - backend.cold.tail_s >= asked_at:
        return belief
    if belief.waking and belief.waking.under_way(now):
        return replace(belief, warm_until=None, waking=replace(belief.waking, cold_at=now))
    if belief.must_hold(backend):
        return replace(belief, warm_until=None)
    woken = Wake(by=attempt, since=asked_at, cold_at=now, until=asked_at + lease_s(belief.cold_p99_s))
    return replace(belief, warm_until=None, waking=woken)


def after_opening(belief: Belief, backend: Backend, *, asked_at: float, opened_at: float) -> Belief:
    """Learn that a request was let in: it is up, and its start, where one was under way, took so long."""
    up = replace(belief, warm_until=later(belief.warm_until, opened_at + backend.cold.tail_s), waking=None)
    if belief.waking is None or belief.is_warm(opened_at):
        return up
    lost = belief.lost_wakes if belief.waking.held_until else 0
    took_s = start_s(belief.waking, asked_at=asked_at, opened_at=opened_at)
    return replace(after_cold_start(up, took_s, backend), lost_wakes=lost)


def after_wake(belief: Belief, backend: Backend, *, by: str, now: float) -> Belief | None:
    """Let `by` wake it; None where it is up or somebody else's wake is under way. A repeated wake is the same one."""
    if belief.is_warm(now):
        return None
    if belief.waking and belief.waking.under_way(now):
        return belief if belief.waking.by == by else None
    until = now + backend.cold.wake_hold_s + lease_s(belief.cold_p99_s)
    lost = belief.lost_wakes + (belief.waking is not None)
    return replace(belief, waking=Wake(by=by, since=now, cold_at=now, until=until), lost_wakes=lost)


def after_hold(belief: Belief, *, by: str, now: float, held_until: float | None) -> Belief:
    """Learn that a wake was held and it is still not up; `held_until` is set where it is held on."""
    if belief.waking is None or belief.waking.by != by:
        return belief
    return replace(belief, waking=replace(belief.waking, cold_at=now, held_until=held_until))


def after_ticket(belief: Belief, response: str, *, admitted_at: float, until: float, now: float) -> Belief:
    """Keep a turn's place among those that wait for room."""
    kept = {name: ticket for name, ticket in belief.tickets.items() if ticket[1] > now}
    return replace(belief, tickets={**kept, response: (admitted_at, until)})


def after_probe(belief: Belief, *, by: str, now: float) -> Belief | None:
    """Let `by` try whether the trouble is over; None where somebody else is at it."""
    if belief.probed(now) and belief.probe_by != by:
        return None
    return replace(belief, probe_by=by, probe_until=now + PROBE_S)


def after_cold_start(belief: Belief, cold_s: float, backend: Backend) -> Belief:
    """Add a measured cold start to the remembered ones, whose quantiles are then believed."""
    samples = (*belief.cold_samples, max(0.0, cold_s))[-COLD_SAMPLES:]
    ordered = sorted(samples)
    longest = ordered[-1] if len(ordered) >= ENOUGH_COLD_SAMPLES else max(ordered[-1], backend.cold.p99_s)
    return replace(belief, cold_samples=samples, cold_p50_s=ordered[(len(ordered) - 1) // 2], cold_p99_s=longest)


def learned_speed(believed: float, tokens: int, seconds: float, *, least: int) -> float:
    """Move a believed speed, in tokens a second, towards a measured one."""
    if tokens < least or seconds <= 0:
        return believed
    measured = min(max(tokens / seconds, believed / LEAP), believed * LEAP)
    return believed + LEARNING * (measured - believed)


def learned_service(believed: float | None, seconds: float) -> float:
    return round(seconds if believed is None else believed + LEARNING * (seconds - believed), 3)


def circuit_until(errors: int, now: float) -> float | None:
    if errors < CIRCUIT_ERRORS:
        return None
    doublings = min(errors - CIRCUIT_ERRORS, 10)
    return now + min(CIRCUIT_S * 2**doublings, LONGEST_CIRCUIT_S)


def later(known: float | None, found: float) -> float:
    return found if known is None else max(known, found)


def without(in_flight: Mapping[str, float], attempt: str) -> Mapping[str, float]:
    return {name: until for name, until in in_flight.items() if name != attempt}

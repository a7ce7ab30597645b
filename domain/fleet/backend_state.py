"""What has been learned about a backend: its speed, its readiness, its failures and its queue?

The initial state comes from the fleet file; the store keeps every later state. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from domain.fleet.catalog import Backend
from domain.fleet.cold_start import FailedWarmUp, WarmUp, remaining_start_s

VERSION: Final = 1

CIRCUIT_ERRORS: Final = 3
"""The circuit of a backend opens after this many errors in a row."""

NO_ATTEMPTS: Final[Mapping[str, float]] = MappingProxyType({})
NO_QUEUE_PLACES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """The learned state of one backend.

    `in_flight` maps each running attempt to the time by which it must have ended; later it no longer counts, so an
    attempt that died is not counted for ever. `errors` counts the failures since the last success. While a backend is
    in doubt, `probe_by` is the turn that may try it, until `probe_until`. A backend that never scales to zero has no
    `warm_until`. `warm_up` is a start under way, `lost_warm_ups` counts the warm-ups that started nothing, and
    `failed_warm_up` is the last one that the backend rejected or that could not be sent. `service_s` is the average
    time of a request. `queue_places` maps each queued turn to the time of its admission and to the time until which
    its place is kept.
    """

    backend: str
    cold_p50_s: float
    cold_p99_s: float
    prefill_tokens_s: float
    decode_tokens_s: float
    warm_until: float | None = None
    cold_samples: tuple[float, ...] = ()
    in_flight: Mapping[str, float] = NO_ATTEMPTS
    errors: int = 0
    cooldown_until: float | None = None
    circuit_open_until: float | None = None
    probe_by: str = ""
    probe_until: float | None = None
    warm_up: WarmUp | None = None
    lost_warm_ups: int = 0
    failed_warm_up: FailedWarmUp | None = None
    service_s: float | None = None
    queue_places: Mapping[str, tuple[float, float]] = NO_QUEUE_PLACES

    def running(self, now: float) -> int:
        return sum(until > now for until in self.in_flight.values()) if self.in_flight else 0

    def is_warm(self, now: float) -> bool:
        return self.warm_until is not None and self.warm_until > now

    def is_starting(self, now: float) -> bool:
        return self.warm_up is not None and self.warm_up.under_way(now) and not self.is_warm(now)

    @property
    def is_failing(self) -> bool:
        """Return whether a failure was seen that may keep turns away from this backend."""
        return self.errors > 0 or self.cooldown_until is not None or self.failed_warm_up is not None

    @property
    def is_uncertain(self) -> bool:
        """Return whether the circuit is open, or was open and no attempt has succeeded since."""
        return self.errors >= CIRCUIT_ERRORS

    def probed(self, now: float) -> bool:
        return self.is_uncertain and self.probe_until is not None and self.probe_until > now

    def remaining_start_s(self, now: float) -> tuple[float, float]:
        """Return the expected and the slow remaining seconds of the start under way, or of a start that begins now."""
        elapsed_s = now - self.warm_up.since if self.warm_up and self.warm_up.under_way(now) else 0.0
        expected_s = remaining_start_s(elapsed_s, p50_s=self.cold_p50_s, p99_s=self.cold_p99_s)
        return expected_s, max(expected_s, self.cold_p99_s - elapsed_s)

    def must_hold_request(self, backend: Backend) -> bool:
        """Return whether a start is lost when its request is dropped: as configured, or after a lost warm-up."""
        return not backend.cold_start.abandoned_starts or self.lost_warm_ups > 0

    def queued_before(self, response: str, admitted_at: float, now: float) -> int:
        """Return how many queued turns were admitted before this one."""
        mine = (admitted_at, response)
        return sum(until > now and (at, name) < mine for name, (at, until) in self.queue_places.items())

    def to_document(self) -> dict[str, Any]:
        return {
            "v": VERSION,
            "backend": self.backend,
            "cold_p50_s": self.cold_p50_s,
            "cold_p99_s": self.cold_p99_s,
            "prefill_tokens_s": self.prefill_tokens_s,
            "decode_tokens_s": self.decode_tokens_s,
            "warm_until": self.warm_until,
            "cold_samples": list(self.cold_samples),
            "in_flight": dict(self.in_flight),
            "errors": self.errors,
            "cooldown_until": self.cooldown_until,
            "circuit_open_until": self.circuit_open_until,
            "probe_by": self.probe_by,
            "probe_until": self.probe_until,
            "waking": self.warm_up.to_document() if self.warm_up else None,
            "lost_wakes": self.lost_warm_ups,
            "failed_wake": self.failed_warm_up.to_document() if self.failed_warm_up else None,
            "service_s": self.service_s,
            "tickets": {name: list(ticket) for name, ticket in self.queue_places.items()},
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            backend=body["backend"],
            cold_p50_s=body["cold_p50_s"],
            cold_p99_s=body["cold_p99_s"],
            prefill_tokens_s=body["prefill_tokens_s"],
            decode_tokens_s=body["decode_tokens_s"],
            warm_until=body.get("warm_until"),
            cold_samples=tuple(body["cold_samples"]),
            in_flight=body.get("in_flight", NO_ATTEMPTS),
            errors=body.get("errors", 0),
            cooldown_until=body.get("cooldown_until"),
            circuit_open_until=body.get("circuit_open_until"),
            probe_by=body.get("probe_by", ""),
            probe_until=body.get("probe_until"),
            warm_up=WarmUp.from_document(body["waking"]) if body.get("waking") else None,
            lost_warm_ups=body.get("lost_wakes", 0),
            failed_warm_up=FailedWarmUp.from_document(body["failed_wake"]) if body.get("failed_wake") else None,
            service_s=body.get("service_s"),
            queue_places={name: (at, until) for name, (at, until) in body.get("tickets", {}).items()},
        )


def initial_state(backend: Backend) -> BackendState:
    return BackendState(
        backend=backend.name,
        cold_p50_s=backend.cold_start.p50_s,
        cold_p99_s=backend.cold_start.p99_s,
        prefill_tokens_s=backend.speed.prefill_tokens_s,
        decode_tokens_s=backend.speed.decode_tokens_s,
    )

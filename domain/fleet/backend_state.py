"""What do we believe of a backend?

Beliefs start from the fleet's file and live in the store. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from domain.fleet.catalog import Backend
from domain.fleet.cold_start import FailedWarmUp, WarmUp, remaining_start_s

VERSION: Final = 1

CIRCUIT_ERRORS: Final = 3
"""After so many errors in a row a circuit opens."""

NO_ATTEMPTS: Final[Mapping[str, float]] = MappingProxyType({})
NO_QUEUE_PLACES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """`in_flight` maps each running attempt to when it must have ended, so that one that died is not counted for ever.

    `errors` counts failures since the last success; `probe_by` may try whether it is over, until `probe_until`. A
    backend that never scales to zero has no `warm_until`. `waking` is a start under way, `lost_wakes` counts those that
    came to nothing, `failed_wake` is the last that did not get through to it. `service_s` is how long it works on a
    request. `tickets` maps each turn that waits for room to when it was admitted and how long its place is kept.
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
    waking: WarmUp | None = None
    lost_wakes: int = 0
    failed_wake: FailedWarmUp | None = None
    service_s: float | None = None
    tickets: Mapping[str, tuple[float, float]] = NO_QUEUE_PLACES

    def running(self, now: float) -> int:
        return sum(until > now for until in self.in_flight.values()) if self.in_flight else 0

    def is_warm(self, now: float) -> bool:
        return self.warm_until is not None and self.warm_until > now

    def is_starting(self, now: float) -> bool:
        return self.waking is not None and self.waking.under_way(now) and not self.is_warm(now)

    @property
    def is_failing(self) -> bool:
        """Tell whether anything was seen of it that may be a reason to leave it alone."""
        return self.errors > 0 or self.cooldown_until is not None or self.failed_wake is not None

    @property
    def is_uncertain(self) -> bool:
        """Tell whether its circuit is, or was, open and nothing has been seen of it since."""
        return self.errors >= CIRCUIT_ERRORS

    def probed(self, now: float) -> bool:
        return self.is_uncertain and self.probe_until is not None and self.probe_until > now

    def remaining_start_s(self, now: float) -> tuple[float, float]:
        """Return the seconds until it is up, as expected and where it is slow.

        Those of a start under way, else of one that begins now.
        """
        elapsed_s = now - self.waking.since if self.waking and self.waking.under_way(now) else 0.0
        expected_s = remaining_start_s(elapsed_s, p50_s=self.cold_p50_s, p99_s=self.cold_p99_s)
        return expected_s, max(expected_s, self.cold_p99_s - elapsed_s)

    def must_hold_request(self, backend: Backend) -> bool:
        """Tell whether a start ends with the request that caused it: as configured, or as a lost wake has shown."""
        return not backend.cold_start.abandoned_starts or self.lost_wakes > 0

    def queued_before(self, response: str, admitted_at: float, now: float) -> int:
        """Count the turns that wait for room and were admitted before this one."""
        mine = (admitted_at, response)
        return sum(until > now and (at, name) < mine for name, (at, until) in self.tickets.items())

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
            "waking": self.waking.to_document() if self.waking else None,
            "lost_wakes": self.lost_wakes,
            "failed_wake": self.failed_wake.to_document() if self.failed_wake else None,
            "service_s": self.service_s,
            "tickets": {name: list(ticket) for name, ticket in self.tickets.items()},
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
            waking=WarmUp.from_document(body["waking"]) if body.get("waking") else None,
            lost_wakes=body.get("lost_wakes", 0),
            failed_wake=FailedWarmUp.from_document(body["failed_wake"]) if body.get("failed_wake") else None,
            service_s=body.get("service_s"),
            tickets={name: (at, until) for name, (at, until) in body.get("tickets", {}).items()},
        )


def initial_state(backend: Backend) -> BackendState:
    return BackendState(
        backend=backend.name,
        cold_p50_s=backend.cold_start.p50_s,
        cold_p99_s=backend.cold_start.p99_s,
        prefill_tokens_s=backend.speed.prefill_tokens_s,
        decode_tokens_s=backend.speed.decode_tokens_s,
    )

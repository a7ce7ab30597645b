"""Which failures keep turns away from a backend, and for how long? Times are seconds since the epoch."""

from collections.abc import Mapping
from copy import replace
from typing import Any, Final, Self

from msgspec import Struct

CIRCUIT_ERRORS: Final = 3
"""The circuit of a backend opens after this many errors in a row."""

CIRCUIT_S: Final = 5.0
LONGEST_CIRCUIT_S: Final = 300.0
"""A circuit opens for 5 s, doubled by each further error up to five minutes."""

THROTTLE_S: Final = 5.0
"""A throttled backend that named no delay is left alone for this long."""
LONGEST_THROTTLE_S: Final = 3600.0
"""A longer delay is cut to this; then a turn checks whether the backend still throttles."""

PROBE_S: Final = 60.0
"""A circuit that was open lets one attempt through; after this long without a result it lets another one through."""


class BackendHealth(Struct, frozen=True, kw_only=True):
    """The failures of one backend since its last success.

    `errors` counts them, and `failed_at` is when the last one was seen. A throttled backend is left alone until
    `cooldown_until`, one whose circuit is open until `circuit_open_until`. While a backend is uncertain, `probe_by` is
    the turn that may try it, until `probe_until`.
    """

    errors: int = 0
    cooldown_until: float | None = None
    circuit_open_until: float | None = None
    failed_at: float | None = None
    probe_by: str = ""
    probe_until: float | None = None

    @property
    def is_failing(self) -> bool:
        return self.errors > 0 or self.cooldown_until is not None

    @property
    def is_uncertain(self) -> bool:
        """Return whether the circuit is open, or was open and no attempt has succeeded since."""
        return self.errors >= CIRCUIT_ERRORS

    def is_probed(self, now: float) -> bool:
        return self.is_uncertain and self.probe_until is not None and self.probe_until > now

    def after_success(self, *, asked_at: float) -> "BackendHealth":
        """Return the health after an answer to a request of `asked_at`: an earlier failure is over."""
        return self if self.failed_at is not None and asked_at < self.failed_at else HEALTHY

    def after_throttling(self, delay_s: float | None, *, now: float) -> "BackendHealth":
        """Return the health after a rejection that named a delay in seconds, or none."""
        until = now + min(THROTTLE_S if delay_s is None else delay_s, LONGEST_THROTTLE_S)
        latest = until if self.cooldown_until is None else max(self.cooldown_until, until)
        return replace(self, cooldown_until=latest, failed_at=now, probe_until=None)

    def after_error(self, *, now: float) -> "BackendHealth":
        errors = self.errors + 1
        until = circuit_until(errors, now)
        return replace(self, errors=errors, circuit_open_until=until, failed_at=now, probe_until=None)

    def probed_by(self, turn: str, *, now: float) -> "BackendHealth | None":
        """Return the health while `turn` tries the backend; None if another turn is trying it."""
        if self.is_probed(now) and self.probe_by != turn:
            return None
        return replace(self, probe_by=turn, probe_until=now + PROBE_S)

    def to_document(self) -> dict[str, Any]:
        """Return the document. A field of a later release is left out while it has no value."""
        later = {} if self.failed_at is None else {"failed_at": self.failed_at}
        return {
            "errors": self.errors,
            "cooldown_until": self.cooldown_until,
            "circuit_open_until": self.circuit_open_until,
            "probe_by": self.probe_by,
            "probe_until": self.probe_until,
            **later,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            errors=body.get("errors", 0),
            cooldown_until=body.get("cooldown_until"),
            circuit_open_until=body.get("circuit_open_until"),
            failed_at=body.get("failed_at"),
            probe_by=body.get("probe_by", ""),
            probe_until=body.get("probe_until"),
        )


HEALTHY: Final = BackendHealth()


def circuit_until(errors: int, now: float) -> float | None:
    if errors < CIRCUIT_ERRORS:
        return None
    doublings = min(errors - CIRCUIT_ERRORS, 10)
    return now + min(CIRCUIT_S * 2**doublings, LONGEST_CIRCUIT_S)

"""How long does the start of a backend still take, and which request started it?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

LEASE: Final = 1.5
"""A warm-up without a result counts as lost after this many times the 99th percentile of a start."""

LEAST_LEASE_S: Final = 10.0

SILENCE_S: Final = 15.0
"""A process that holds a warm-up request and has not renewed it for this long counts as dead."""

STEPS: Final = 8
LEAST_STEP_S: Final = 1.0
"""After the median a start is checked in this many steps up to the 99th percentile, none shorter than this."""

AT_ONCE_S: Final = 0.5
"""A backend that accepts a request within this time was up before the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """A start under way; times are seconds since the epoch.

    `by` is the turn or attempt whose request started it. `cold_at` is when the backend was last seen not to be up;
    after `until` the warm-up counts as lost. `held_until` is None if the request was dropped; otherwise the process
    that holds the request renews it before that time.
    """

    by: str
    since: float
    until: float
    cold_at: float
    held_until: float | None = None

    def under_way(self, now: float) -> bool:
        return now < self.until and (self.held_until is None or now < self.held_until)

    def to_document(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "since": self.since,
            "until": self.until,
            "cold_at": self.cold_at,
            "held_until": self.held_until,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            by=body["by"],
            since=body["since"],
            until=body["until"],
            cold_at=body["cold_at"],
            held_until=body.get("held_until"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedWarmUp:
    """A warm-up that started nothing: it was rejected or could not be sent. Times are seconds since the epoch.

    `tries` counts the failures in a row; the next warm-up may be sent at `again_at`. If it is `final`, the turns that
    waited for this warm-up fail with its `reason`.
    """

    at: float
    again_at: float
    tries: int
    final: bool
    reason: str

    def blocks(self, now: float) -> bool:
        return now < self.again_at

    def ends_turn(self, admitted_at: float) -> bool:
        """Return whether a turn admitted at that time fails with it; a later turn waits for the next warm-up."""
        return self.final and admitted_at <= self.at

    def to_document(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "again_at": self.again_at,
            "tries": self.tries,
            "final": self.final,
            "reason": self.reason,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            at=body["at"],
            again_at=body["again_at"],
            tries=body["tries"],
            final=body["final"],
            reason=body["reason"],
        )


def lease_s(p99_s: float) -> float:
    return max(LEASE * p99_s, LEAST_LEASE_S)


def remaining_start_s(elapsed_s: float, *, p50_s: float, p99_s: float) -> float:
    """Return the seconds until the start is checked next: at its median, then step by step after it."""
    if elapsed_s < p50_s:
        return p50_s - elapsed_s
    step_s = max((p99_s - p50_s) / STEPS, LEAST_STEP_S)
    return step_s - (elapsed_s - p50_s) % step_s


def observed_start_s(warm_up: WarmUp, *, asked_at: float, opened_at: float) -> float:
    """Return how long a start took, from the first request that was accepted after it.

    The time is exact if the backend held the request until it was up. A request that is accepted at once only shows
    that the backend was up before; the start then counts to the middle between the last time it was seen cold and
    now, so that the next start is checked earlier.
    """
    latest = opened_at - warm_up.since
    if opened_at - asked_at > AT_ONCE_S:
        return latest
    return (warm_up.cold_at - warm_up.since + latest) / 2

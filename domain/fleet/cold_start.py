"""How long does the start of a backend still take, and whose wake is it?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

LEASE: Final = 1.5
"""A wake that shows nothing after so many times the 99th percentile of a start counts as lost."""

LEAST_LEASE_S: Final = 10.0

SILENCE_S: Final = 15.0
"""Who holds a wake on and has not said so for so long is taken for dead."""

STEPS: Final = 8
LEAST_STEP_S: Final = 1.0
"""Behind the median a start is looked for in so many steps up to the 99th percentile, none shorter than this."""

AT_ONCE_S: Final = 0.5
"""A backend that takes a request within this time was up before it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """A start under way; times are seconds since the epoch.

    `by` is who sent the request that started it. `cold_at` is when it was last seen not to be up, `until` when the wake
    counts as lost. `held_until` is None where the request was dropped; else whoever holds it on says so again before.
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
    """A wake that started nothing: it was refused, or could not be sent. Times are seconds since the epoch.

    `tries` counts those in a row; the next may be tried at `again_at`. `final`: so many have failed that turns which
    waited for this one are told the `reason`.
    """

    at: float
    again_at: float
    tries: int
    final: bool
    reason: str

    def blocks(self, now: float) -> bool:
        return now < self.again_at

    def ends_turn(self, admitted_at: float) -> bool:
        """Tell whether it is the answer to a turn of that time; one that came later waits, and has it tried again."""
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
    """Return the seconds until the start is next looked for: at its median, then step by step beyond."""
    if elapsed_s < p50_s:
        return p50_s - elapsed_s
    step_s = max((p99_s - p50_s) / STEPS, LEAST_STEP_S)
    return step_s - (elapsed_s - p50_s) % step_s


def observed_start_s(wake: WarmUp, *, asked_at: float, opened_at: float) -> float:
    """Return how long a start took that a request was let in after.

    That is exact where the request was held until it was up; one that is let in at once only tells that it was up
    before, and the middle between the last sight of it cold and now is taken: so that next time it is looked for
    earlier.
    """
    latest = opened_at - wake.since
    if opened_at - asked_at > AT_ONCE_S:
        return latest
    return (wake.cold_at - wake.since + latest) / 2

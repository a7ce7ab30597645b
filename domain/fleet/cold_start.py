"""How long does the start of a backend still take, and which request started it?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct

LEASE: Final = 1.5
"""A warm-up without a result counts as lost after this many times the 99th percentile of a start."""

LEAST_LEASE_S: Final = 10.0

SILENCE_S: Final = 15.0
"""A process that holds a warm-up request and has not renewed it for this long counts as dead."""

STEPS: Final = 8
LEAST_STEP_S: Final = 1.0
"""After the median a start is checked in this many steps up to the 99th percentile, none shorter than this."""

UNSEEN_S: Final = 45.0
"""The timer probes a start that is due and was not seen to be under way for so long."""

SHORTEST_SIGHT_S: Final = 20.0
"""However short its idle period is, a start is looked at no more often than this before it is due."""

PROBED_QUANTILES: Final = (0.5, 0.75, 0.9)
ENOUGH_SAMPLES: Final = 4
LEAST_PROBE_STEP_S: Final = 5.0
PROBE_GROWTH: Final = 1.25
"""After the learned quantiles, each probe is this many times later than the one before."""

CLEARLY_BEFORE: Final = 0.9
"""The learned median agrees with an interval if it is within this share of it."""

PROBE_HOLD_S: Final = 10.0
"""A probe of a start that no turn waits for is held for this long."""

WATCHED_FROM: Final = 0.9
"""A start with a turn in line is watched from this share of the shortest start seen."""

WATCH_STEP: Final = 0.03
SHORTEST_WATCH_STEP_S: Final = 3.0
LONGEST_WATCH_S: Final = 2.0
"""From one look to the next passes this share of the time since the start; half of a step, but at most so long, a probe
is held. So a start of any length that takes four times the shortest one is looked at some fifty times.
"""

AT_ONCE_S: Final = 0.5
"""A backend that accepts a request within this time was up before the request."""

KEPT_SAMPLES: Final = 32
FLOOR_SAMPLES: Final = 8
"""So many cold starts are remembered; with fewer than `FLOOR_SAMPLES` the configured 99th percentile is a floor."""


class StartTimes(Struct, frozen=True, kw_only=True):
    """How long a cold start takes, in seconds: the median, the 99th percentile, and the last starts that were seen."""

    p50_s: float
    p99_s: float
    samples: tuple[float, ...] = ()

    def after(self, start_s: float, *, longest_s: float) -> "StartTimes":
        """Return the times after one more start; `longest_s` is the configured 99th percentile."""
        samples = (*self.samples, max(0.0, start_s))[-KEPT_SAMPLES:]
        ordered = sorted(samples)
        p99_s = ordered[-1] if len(ordered) >= FLOOR_SAMPLES else max(ordered[-1], longest_s)
        return StartTimes(p50_s=ordered[(len(ordered) - 1) // 2], p99_s=p99_s, samples=samples)

    def to_document(self) -> dict[str, Any]:
        return {"cold_p50_s": self.p50_s, "cold_p99_s": self.p99_s, "cold_samples": list(self.samples)}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(p50_s=body["cold_p50_s"], p99_s=body["cold_p99_s"], samples=tuple(body["cold_samples"]))


class StartLook(NamedTuple):
    """The next look at a start is in `delay_s` seconds. A look that is due now holds a probe for `hold_s`."""

    delay_s: float
    hold_s: float = 0.0


class WarmUp(Struct, frozen=True, kw_only=True):
    """A start under way; times are seconds since the epoch.

    `by` is the turn or attempt whose request started it. `cold_at` is when the backend was last seen not to be up;
    after `until` the warm-up counts as lost. `held_until` is None if the request was dropped; otherwise the process
    that holds the request renews it before that time. `traceparent` is the W3C trace context of the turn `by`.
    `first_since` is when a warm-up before it began that counted as lost: its start may have gone on all the time.
    """

    by: str
    since: float
    until: float
    cold_at: float
    held_until: float | None = None
    traceparent: str = ""
    first_since: float | None = None

    def under_way(self, now: float) -> bool:
        return now < self.until and (self.held_until is None or now < self.held_until)

    def to_document(self) -> dict[str, Any]:
        """Return the document. A field of a later release is left out while it has no value."""
        first = {} if self.first_since is None else {"first_since": self.first_since}
        later = {**first, **({"trace": self.traceparent} if self.traceparent else {})}
        return {
            "by": self.by,
            "since": self.since,
            "until": self.until,
            "cold_at": self.cold_at,
            "held_until": self.held_until,
            **later,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            by=body["by"],
            since=body["since"],
            until=body["until"],
            cold_at=body["cold_at"],
            held_until=body.get("held_until"),
            traceparent=body.get("trace", ""),
            first_since=body.get("first_since"),
        )


class FailedWarmUp(Struct, frozen=True, kw_only=True):
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


def sight_s(idle_s: float) -> float:
    """Return within how many seconds a start must be looked at, so that a machine does not scale in unseen.

    A start may end far earlier than expected. The machine then stays up for its idle period without a request.
    """
    return max(SHORTEST_SIGHT_S, idle_s / 2)


def first_start(lost: WarmUp | None, now: float) -> float | None:
    """Return when the first of the warm-ups began that counted as lost just before a new one."""
    if lost is None or now - lost.until > lost.until - lost.since:
        return None
    return lost.since if lost.first_since is None else lost.first_since


def lease_s(p99_s: float) -> float:
    return max(LEASE * p99_s, LEAST_LEASE_S)


def remaining_start_s(elapsed_s: float, *, p50_s: float, p99_s: float) -> float:
    """Return the seconds until the start is checked next: at its median, then step by step after it."""
    if elapsed_s < p50_s:
        return p50_s - elapsed_s
    step_s = max((p99_s - p50_s) / STEPS, LEAST_STEP_S)
    return step_s - (elapsed_s - p50_s) % step_s


def next_look(elapsed_s: float, times: StartTimes) -> StartLook:
    """Return when a start is looked at for which a turn waits: often, from shortly before the shortest one seen."""
    first_s = WATCHED_FROM * min(times.samples, default=times.p50_s)
    if first_s - elapsed_s >= LEAST_STEP_S:
        return StartLook(first_s - elapsed_s)
    step_s = max(WATCH_STEP * elapsed_s, SHORTEST_WATCH_STEP_S)
    hold_s = min(step_s / 2, LONGEST_WATCH_S)
    return StartLook(step_s - hold_s, hold_s)


def observed_start_s(warm_up: WarmUp, *, asked_at: float, opened_at: float, p50_s: float, p99_s: float) -> float | None:
    """Return how long a start took, from the first request that was accepted after it; None if that teaches nothing.

    The time is exact if the backend held the request until it was up. A request that is accepted at once only shows an
    interval: the start ended between the last time it was seen cold and now. An interval that contains the learned
    median agrees with it. One that ends at the median or below it counts as its middle, so that the next start is
    checked earlier; one above it as the middle of its part up to the 99th percentile.
    """
    latest_s = opened_at - warm_up.since
    if opened_at - asked_at > AT_ONCE_S:
        return latest_s
    earliest_s = warm_up.cold_at - warm_up.since
    if earliest_s <= p50_s < CLEARLY_BEFORE * latest_s:
        return None
    if earliest_s <= p50_s:
        return (earliest_s + latest_s) / 2
    return (earliest_s + min(latest_s, max(earliest_s, p99_s))) / 2


def probe_times_s(samples: Sequence[float], *, p50_s: float) -> Iterator[float]:
    """Return when a start that no turn waits for is probed, in seconds after it began; without end.

    At the median, the 75th and the 90th percentile of the starts seen, then less and less often; after few starts this
    begins at the median. Each probe is sent a little earlier, for it is held until after its time.
    """
    ordered = sorted(samples)
    known = [ordered[math.ceil(quantile * len(ordered)) - 1] for quantile in PROBED_QUANTILES if ordered]
    at_s = 0.0
    for quantile_s in known if len(ordered) >= ENOUGH_SAMPLES else [p50_s]:
        at_s = max(at_s + LEAST_PROBE_STEP_S, quantile_s - PROBE_HOLD_S / 2)
        yield at_s
    while True:
        at_s = max(at_s + PROBE_HOLD_S, at_s * PROBE_GROWTH)
        yield at_s

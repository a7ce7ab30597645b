"""When does a turn go to its backend: now, when it is up, or when it is this turn's turn?

Who was admitted first goes first. While nothing runs for a turn it costs nothing: only the last seconds before a
backend is up are waited for inside an attempt.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.routing.estimates import SLOW
from domain.routing.router import Candidate

LEAD: Final = 0.2
"""A timer ends this share of an attempt's patience before the backend is expected: timers fire late."""

LEAST_LOOK_S: Final = 0.5
LONGEST_QUEUE_S: Final = 15.0
LONGEST_GUESS_S: Final = 2.0
"""How long a turn waits for room, at least and at most, before it looks again; and where nobody has been served yet."""

LONGEST_TRUST_S: Final = 20.0
"""How long a start is left alone that ends with the process which holds its request."""

LONGEST_DOUBT_S: Final = 2.0
"""How long a turn waits for a wake behind one that failed, before it looks how that went."""

KEEP_S: Final = 30.0
"""A place in the queue is kept so long beyond the time of the next look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedTurn:
    """Who waits: the response, its size, when it was admitted, and for how long an attempt may hold its request."""

    response: str
    input_tokens: int
    admitted_at: float
    hold_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWait:
    """Seconds until the next look, and why; a place is kept until `kept_until`, in seconds since the epoch.

    `cause` is `start`, or `room` where others come first.
    """

    delay_s: float
    kept_until: float
    reason: str
    cause: str = "start"

    def to_document(self) -> dict[str, Any]:
        return {"delay_s": self.delay_s, "kept_until": self.kept_until, "reason": self.reason, "cause": self.cause}


def hold_for(found: Candidate, belief: BackendState, backend: Backend, turn: QueuedTurn) -> float | None:
    """Return how long a request may wait to be let in; None where it may wait as long as the backend lets it.

    A backend that is up reads the prompt before it lets a request in; one that has gone unnoticed does not.
    """
    if not backend.cold_start.scales_to_zero:
        return None
    reading_s = 0.0 if found.remaining_start_s else SLOW * turn.input_tokens / belief.prefill_tokens_s
    return round(turn.hold_s + reading_s, 3)


def wait_for(
    found: Candidate, belief: BackendState, backend: Backend, turn: QueuedTurn, *, now: float
) -> QueueWait | None:
    """Return how long the turn leaves its backend alone; None where it is to ask now."""
    if not backend.cold_start.scales_to_zero:
        return None
    ahead = belief.queued_before(turn.response, turn.admitted_at, now)
    room = backend.limits.concurrency - belief.running(now)
    if ahead < room and found.remaining_start_s <= turn.hold_s:
        return None
    if ahead < room:
        trust_s = LONGEST_TRUST_S if belief.must_hold_request(backend) else math.inf
        delay_s, reason = (
            min(found.remaining_start_s - LEAD * turn.hold_s, trust_s),
            f"up in about {found.remaining_start_s:,.1f} s",
        )
        cause = "start"
    else:
        waves = math.ceil((ahead - room + 1) / backend.limits.concurrency)
        queue_s = queueing_s(waves, belief, found)
        delay_s, reason = found.remaining_start_s + queue_s, f"full, with {ahead} turns before this one"
        cause = "room"
    delay_s = min(delay_s, LONGEST_DOUBT_S) if belief.failed_warm_up else delay_s
    kept_until = now + delay_s + KEEP_S
    return QueueWait(
        delay_s=round(delay_s, 3), kept_until=kept_until, reason=f"{backend.name} is {reason}", cause=cause
    )


def queueing_s(waves: int, belief: BackendState, found: Candidate) -> float:
    """Return how long it takes until so many rooms full of turns are served."""
    if belief.service_s is None:
        return min(max(waves * found.busy_s, LEAST_LOOK_S), LONGEST_GUESS_S)
    return min(max(waves * belief.service_s, LEAST_LOOK_S), LONGEST_QUEUE_S)

"""When does a backend whose instances the product counts stop, and who has set the count?

Before the product sets a count above 0 it writes a lease. As long as the lease is stored, some process or timer must
still set the count to 0. Times are seconds since the epoch.
"""

import math
from collections.abc import Mapping
from copy import replace
from enum import StrEnum
from typing import Any, Final, Self

from msgspec import Struct

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.scaling import FREE, Scaling

LOOK_S: Final = 5.0
"""How long until a backend is looked at again whose running attempts keep it up."""

LATE_S: Final = 2.0
"""An instance that turns wait for is known to be up for so much longer than until the next look."""

KNOWN_S: Final = 600.0
"""An instance that a schedule keeps up is known to be up for so long, and for two idle periods."""

ROUND_S: Final = 10.0
"""An instance stays up for so long after a round whose calls the server runs: the turn needs it again."""

GRACE_S: Final = 5.0
"""A lease as young as this may belong to a warm-up that is not recorded yet."""


class LeasePhase(StrEnum):
    RUNNING = "running"
    SHRINKING = "shrinking"
    """Some of several instances are ended; the others run on."""
    ENDING = "ending"


class CountLease(Struct, frozen=True, kw_only=True):
    """A count above 0 that the product has set for the warm-up of `by`, or is about to set.

    `requested_at` is when the product last sent a request to keep the instance alive. `tries` counts how often the
    count could not be lowered. `may_run`: it took over a lease under which an instance may run already. `target` is the
    highest count that may be set.
    """

    by: str
    at: float
    phase: LeasePhase = LeasePhase.RUNNING
    requested_at: float = 0.0
    tries: int = 0
    may_run: bool = False
    target: int = 1

    def ending(self) -> "CountLease":
        return replace(self, phase=LeasePhase.ENDING)

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "count_lease",
            "v": 1,
            "by": self.by,
            "at": self.at,
            "phase": self.phase.value,
            "requested_at": self.requested_at,
            "tries": self.tries,
            **({"may_run": True} if self.may_run else {}),
            **({} if self.target == 1 else {"target": self.target}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            by=body["by"],
            at=body["at"],
            phase=LeasePhase(body["phase"]),
            requested_at=body["requested_at"],
            tries=body["tries"],
            may_run=body.get("may_run", False),
            target=body.get("target", 1),
        )


def with_target(lease: CountLease, count: int) -> CountLease:
    """Return the lease under which so many instances may run at least."""
    return replace(lease, target=max(lease.target, count))


def due_at(lease: CountLease, backend: Backend, state: BackendState, now: float) -> float:
    """Return when the instance is to end, as far as is known now; a time that has passed means now.

    It ends when it was idle for the idle period of its session, or its start counts as lost; never while a higher count
    is being set, before its last attempt, while turns are in line for it, or below the minimum of the schedule. Where
    the schedule allows none, it ends with its last attempt.
    """
    if lease.phase is LeasePhase.ENDING:
        return now
    if state.load.running(now) or state.warmth.is_growing(now):
        return now + LOOK_S
    limits = backend.instances.limits(now) if backend.instances else FREE
    if limits.minimum and backend.instances:
        return backend.instances.next_change(now)
    start = state.warmth.start_under_way(now)
    if not limits.maximum:
        return now
    if state.is_up(now) and state.load.queued(now):
        return now + LOOK_S
    times = [lease.at + GRACE_S, state.warmth.warm_until or 0.0, start.until if start else 0.0]
    return max(times)


def kept_until(backend: Backend, state: BackendState, due: float, now: float) -> float | None:
    """Return until when the router is to know that an instance is up that ends at `due`; None where it knows enough.

    It stays up for turns in line, or because of a schedule, which the next release may lack.
    """
    until = state.warmth.warm_until
    if until is None:
        return None
    if state.load.queued(now) and state.is_up(now):
        return due + LATE_S if until < due + LATE_S / 2 else None
    known_s = KNOWN_S + 2 * state.warmth.idle_period_s(backend)
    is_minimum = backend.instances is not None and backend.instances.limits(now).minimum > 0
    return min(due, now + known_s) if is_minimum and until < min(due, now + known_s / 2) else None


def look_by(state: BackendState, now: float) -> float:
    """Return when to look again at the latest: another process may see the end of a start."""
    return now + LOOK_S if state.warmth.is_starting(now) else math.inf


def is_counted(backend: Backend) -> bool:
    return backend.scaling is Scaling.COUNT

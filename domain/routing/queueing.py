"""When does a turn call its backend: now, when the backend is up, or when its place in the queue is reached?

Turns are served in the order of their admission. A turn waits on timers, where it costs nothing; an attempt waits only
for the last seconds before its backend is up.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.cold_start import LEAST_STEP_S, StartLook, next_look, sight_s
from domain.fleet.instances.inferred import grows_itself
from domain.fleet.instances.memory import KvMemory, claims_ahead, memory_of, with_memory
from domain.fleet.instances.places import is_growing, longest_start_s, next_instance_s, places
from domain.fleet.instances.scaling import Scaling
from domain.fleet.load import NO_QUEUE_PLACES, QueuePlace
from domain.routing.candidates import Candidate
from domain.routing.estimates import SLOW

LEAD: Final = 0.2
"""A timer ends this share of the hold time before the backend is expected to be up: timers fire late."""

FIRST_LEAD: Final = 0.8
"""The same for the first turn in line where the product sets the count: half of all starts end before their median.

An idle machine costs money, and no request that is dropped ends such a start.
"""

LEAST_LOOK_S: Final = 0.5
LONGEST_QUEUE_S: Final = 15.0
LONGEST_GUESS_S: Final = 2.0
"""How long a queued turn waits for the next check: at least, at most, and at most before any turn was served."""

DEFERRED_S: Final = 1e9
"""A turn that is deferrable is ordered as if it had been admitted so much later."""

KEPT_FREE: Final = 4
"""Deferrable turns leave one of so many places of a backend free, for a turn that somebody waits for."""

LONGEST_TRUST_S: Final = 20.0
"""After this time a turn checks a start again that ends with the process which holds its request."""

LONGEST_DOUBT_S: Final = 2.0
"""How long a turn waits for the warm-up after a failed one before it checks its result."""

NO_LOOK: Final = StartLook(math.inf)

ROOM: Final = "room"
"""The cause of a wait for the turns that come first."""

KEEP_S: Final = 30.0
"""A place in the queue is kept for this long after the time of the next check."""


class QueuedTurn(Struct, frozen=True, kw_only=True):
    """A queued turn: its response, its size, its admission time, and how long an attempt may hold its request.

    One that `is_deferrable` comes after all others, and leaves some of the backend's room to those that come; `beside`
    it are others that have their route and do not run yet, with `promised` tokens of KV memory each. An event with the
    number of its `route` ends its wait.
    """

    response: str
    input_tokens: int
    admitted_at: float
    hold_s: float
    is_deferrable: bool = False
    beside: int = 0
    promised: tuple[int, ...] = ()
    route: int = 0

    @property
    def place(self) -> float:
        """The time by which the queue is ordered."""
        return self.admitted_at + (DEFERRED_S if self.is_deferrable else 0.0)


class QueueWait(Struct, frozen=True, kw_only=True):
    """Seconds until the next check, and why; the place is kept until `kept_until`, in seconds since the epoch.

    `cause` is `start`, or `ROOM` if other turns come first. `claim` is the tokens of KV memory that the turn needs, 0
    where that is not known. Where the turn has to look at the start now, it holds a probe for `look_s` seconds before.
    """

    delay_s: float
    kept_until: float
    reason: str
    cause: str = "start"
    claim: int = 0
    look_s: float = 0.0

    def to_document(self) -> dict[str, Any]:
        return {"delay_s": self.delay_s, "kept_until": self.kept_until, "reason": self.reason, "cause": self.cause}


class LineAhead(Struct, frozen=True, kw_only=True):
    """The line for a backend before one turn: the turns `ahead`, the free `room`, and the KV memory.

    `claim` is the tokens of memory that the turn needs, after the `claimed` ones of each turn before it.
    """

    ahead: int
    room: float
    memory: KvMemory | None = None
    claim: int = 0
    claimed: Sequence[int] = ()
    is_deferrable: bool = False

    @property
    def has_place(self) -> bool:
        return self.ahead < self.room

    @property
    def has_memory(self) -> bool:
        memory, later = self.memory, self.is_deferrable
        return memory is None or memory.has_room(self.claim, ahead=self.claimed, beside_others=later)

    @property
    def memory_rounds(self) -> float:
        return self.memory.rounds(self.claim, ahead=self.claimed) if self.memory else 0.0


def hold_for(found: Candidate, state: BackendState, backend: Backend, turn: QueuedTurn, *, now: float) -> float | None:
    """Return how long a request may wait to be let in; None where it may wait as long as the backend lets it.

    A backend that is up reads the prompt before it lets a request in; one that has gone unnoticed does not. A service
    of which further instances start holds a request until one of them is up.
    """
    if not backend.cold_start.scales_to_zero or grows_itself(backend):
        return None
    reading_s = 0.0 if found.remaining_start_s else SLOW * turn.input_tokens / state.speed.prefill_tokens_s
    return round(max(turn.hold_s, longest_start_s(backend, state, now)) + reading_s, 3)


def wait_for(
    found: Candidate, state: BackendState, backend: Backend, turn: QueuedTurn, *, now: float
) -> QueueWait | None:
    """Return how long the turn waits before it calls its backend; None if it calls now."""
    line = line_before(found, state, backend, turn, now=now)
    ahead = line.ahead
    has_room = line.has_place and line.has_memory
    if has_room and (found.remaining_start_s <= turn.hold_s or is_growing(backend, state, now)):
        return None
    look = NO_LOOK
    if has_room:
        look = NO_LOOK if ahead or turn.is_deferrable else look_at_start(state, backend, now)
        lead_s = (FIRST_LEAD if backend.scaling is Scaling.COUNT and not ahead else LEAD) * turn.hold_s
        trust_s = LONGEST_TRUST_S if state.warmth.must_hold_request(backend) else math.inf
        delay_s, reason = (
            min(found.remaining_start_s - lead_s, trust_s, sight_s(backend.cold_start.idle_s), look.delay_s),
            f"starting, expected to be up in {found.remaining_start_s:,.1f} s",
        )
        cause = "start"
    else:
        waves = 0 if line.has_place else math.ceil((ahead - line.room + 1) / places(backend, state, now))
        queue_s = queueing_s(max(waves, line.memory_rounds), state, found)
        delay_s, reason = found.remaining_start_s + min(queue_s, next_instance_s(state, now)), why_full(line)
        cause = ROOM
    delay_s = min(delay_s, LONGEST_DOUBT_S) if state.warmth.failed_warm_up else delay_s
    kept_until = now + delay_s + KEEP_S
    return QueueWait(
        delay_s=round(delay_s, 3),
        kept_until=kept_until,
        reason=f"{backend.name} is {reason}",
        cause=cause,
        claim=line.claim,
        look_s=look.hold_s,
    )


def look_at_start(state: BackendState, backend: Backend, now: float) -> StartLook:
    """Return when the first turn in line looks at a start; one whose request a process holds needs no look.

    Nor does one that has just been claimed: no budget may have covered it yet, and a look would start it unpaid.
    """
    start = state.warmth.start_under_way(now)
    if start is None or start.held_until is not None:
        return NO_LOOK
    look = next_look(now - start.since, state.start_times)
    unsure_s = start.since + backend.cold_start.warm_up_hold_s + LEAST_STEP_S - now
    return StartLook(max(unsure_s, 0.0 if look.hold_s else look.delay_s)) if unsure_s > 0 else look


def line_before(found: Candidate, state: BackendState, backend: Backend, turn: QueuedTurn, *, now: float) -> LineAhead:
    """Return the line before a turn. A backend that is always on queues what is beyond its places itself."""
    memory, load = memory_of(backend, state, now), state.load
    is_open = not backend.cold_start.scales_to_zero and not turn.is_deferrable
    room = math.inf if is_open else room_for(turn, places(backend, state, now)) - load.running(now) - turn.beside
    claimed = claims_ahead(load, backend, turn.response, turn.place, now) if memory else ()
    return LineAhead(
        ahead=load.queued_before(turn.response, turn.place, now),
        room=room,
        memory=memory,
        claim=found.found.claim if memory else 0,
        claimed=(*claimed, *turn.promised),
        is_deferrable=turn.is_deferrable,
    )


def why_full(line: LineAhead) -> str:
    """Say what a turn waits for."""
    before = f"with {line.ahead} turns queued before this one"
    if not line.has_place or line.memory is None:
        return f"at its concurrency limit, {before}"
    free, where = line.memory.free_beside(line.claimed), " on an instance" if line.memory.instances > 1 else ""
    return f"out of KV memory: this turn needs {line.claim:,} tokens and {free:,} are free{where}, {before}"


def turns_with_room(state: BackendState, backend: Backend, *, now: float) -> Mapping[str, QueuePlace]:
    """Return the turns in line that a backend has places for which is up, or whose provider should see them."""
    load, scales = state.load, backend.cold_start.scales_to_zero
    if not (load.queue_places and (not scales or state.is_up(now) or is_growing(backend, state, now))):
        return NO_QUEUE_PLACES
    room = places(backend, state, now) - load.running(now) if scales else len(load.queue_places)
    return with_memory(load.first_in_line(room, now), memory_of(backend, state, now), backend)


def next_watcher(state: BackendState, response: str, *, now: float) -> Mapping[str, QueuePlace]:
    """Return the turn that is to watch a start when this one leaves the line; none where this one did not watch it."""
    line = dict(state.load.first_in_line(2, now))
    is_watched = state.warmth.is_starting(now) and next(iter(line), "") == response
    return {name: place for name, place in line.items() if name != response} if is_watched else NO_QUEUE_PLACES


def room_for(turn: QueuedTurn, concurrency: int) -> int:
    """Return how many turns may run at a backend beside and with this one."""
    return room_beside_others(concurrency) if turn.is_deferrable else concurrency


def room_beside_others(concurrency: int) -> int:
    """Return how many places of a backend deferrable turns may take: one at least."""
    return max(1, concurrency - -(-concurrency // KEPT_FREE))


def queueing_s(waves: float, state: BackendState, found: Candidate) -> float:
    """Return how long the backend takes to serve this many full rounds of turns."""
    if state.speed.service_s is None:
        return min(max(waves * found.busy_s, LEAST_LOOK_S), LONGEST_GUESS_S)
    return min(max(waves * state.speed.service_s, LEAST_LOOK_S), LONGEST_QUEUE_S)

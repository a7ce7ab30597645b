"""Which attempts run at a backend, and which turns wait for it? Times are seconds since the epoch.

Each process counts in a part of its own, which no other process changes; the load is that of all parts together. What
began in one process may end in another one: there the entry is marked as left, until it would have ended by itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct, field

NO_ATTEMPTS: Final[Mapping[str, float]] = MappingProxyType({})
NO_CLAIMS: Final[Mapping[str, int]] = MappingProxyType({})
KEPT_S: Final = 60.0
"""A process's part is kept for this long after its last entry has ended."""


class QueuePlace(NamedTuple):
    """A turn's place in a queue: when it was admitted, until when the place is kept, and the number of its wait.

    An event that has this number ends the wait; without one only the turn's timer does. `claim` is the tokens of KV
    memory that the turn needs, 0 where that is not known.
    """

    admitted_at: float
    until: float
    wait: int = 0
    claim: int = 0


NO_QUEUE_PLACES: Final[Mapping[str, QueuePlace]] = MappingProxyType({})


class Load(Struct, frozen=True, kw_only=True):
    """The running attempts and the queue of one backend.

    `in_flight` maps each running attempt to the time by which it must have ended; later it no longer counts, so an
    attempt that died is not counted for ever. `queue_places` maps each queued turn to its place. `claims` maps running
    attempts to the tokens of KV memory that each may need.
    """

    in_flight: Mapping[str, float] = NO_ATTEMPTS
    queue_places: Mapping[str, QueuePlace] = NO_QUEUE_PLACES
    claims: Mapping[str, int] = NO_CLAIMS

    def running(self, now: float) -> int:
        return sum(until > now for until in self.in_flight.values()) if self.in_flight else 0

    def claimed(self, now: float, *, unknown: int = 0, apart_from: str = "") -> int:
        """Return the tokens that running attempts claim; each without a claim counts as `unknown`."""
        return sum(self.each_claim(now, unknown=unknown, apart_from=apart_from))

    def each_claim(self, now: float, *, unknown: int = 0, apart_from: str = "") -> Sequence[int]:
        """Return the tokens that each running attempt claims."""
        alive = (name for name, until in self.in_flight.items() if until > now and name != apart_from)
        return [self.claims.get(name, unknown) for name in alive]

    def queued(self, now: float, *, apart_from: str = "") -> int:
        """Return how many turns hold a place in the queue now, not counting the response `apart_from`."""
        if not self.queue_places:
            return 0
        return sum(place.until > now and name != apart_from for name, place in self.queue_places.items())

    def queued_before(self, response: str, admitted_at: float, now: float) -> int:
        """Return how many queued turns were admitted before this one."""
        return len(self.places_before(response, admitted_at, now)) if self.queue_places else 0

    def places_before(self, response: str, admitted_at: float, now: float) -> Sequence[QueuePlace]:
        """Return the places of the queued turns that were admitted before this one."""
        return [self.queue_places[name] for name in self.names_before(response, admitted_at, now)]

    def names_before(self, response: str, admitted_at: float, now: float) -> Sequence[str]:
        """Return the queued turns that were admitted before this one."""
        mine, places = (admitted_at, response), self.queue_places.items()
        return [name for name, place in places if place.until > now and (place.admitted_at, name) < mine]

    def first_in_line(self, room: int, now: float) -> Mapping[str, QueuePlace]:
        """Return the first `room` turns that hold a place now, in their order."""
        kept = {name: place for name, place in self.queue_places.items() if place.until > now}
        return dict(sorted(kept.items(), key=lambda each: (each[1].admitted_at, each[0]))[: max(0, room)])

    def with_attempt(self, attempt: str, *, until: float, now: float, claim: int = 0) -> "Load":
        """Return the load while an attempt runs, until `until` at the latest. A repeated call counts once."""
        alive = {name: end for name, end in self.in_flight.items() if end > now}
        claims = self.claims if not claim else {**self.claims, attempt: claim}
        return replace(self, in_flight={**alive, attempt: until}, claims=claims).with_known_claims()

    def without_attempt(self, attempt: str) -> "Load":
        in_flight = {name: until for name, until in self.in_flight.items() if name != attempt}
        return replace(self, in_flight=in_flight).with_known_claims()

    def with_known_claims(self) -> "Load":
        """Return the load without the claims of attempts that do not run."""
        if all(name in self.in_flight for name in self.claims):
            return self
        return replace(self, claims={name: claim for name, claim in self.claims.items() if name in self.in_flight})

    def with_place(self, response: str, place: QueuePlace, *, now: float) -> "Load":
        """Return the load while a turn keeps its place in the queue."""
        kept = {name: each for name, each in self.queue_places.items() if each.until > now}
        return replace(self, queue_places={**kept, response: place})

    def without_place(self, response: str) -> "Load":
        if response not in self.queue_places:
            return self
        kept = {name: place for name, place in self.queue_places.items() if name != response}
        return replace(self, queue_places=kept)

    def to_document(self) -> dict[str, Any]:
        """Return the document. Earlier releases read a ticket as two times, so what came later is apart."""
        waits = {name: place.wait for name, place in self.queue_places.items() if place.wait}
        in_line = {name: place.claim for name, place in self.queue_places.items() if place.claim}
        claims = {**self.claims, **in_line}
        return {
            "in_flight": dict(self.in_flight),
            "tickets": {name: [place.admitted_at, place.until] for name, place in self.queue_places.items()},
            **({"waits": waits} if waits else {}),
            **({"claims": claims} if claims else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        waits, claims, in_flight = body.get("waits", {}), body.get("claims", {}), body.get("in_flight", NO_ATTEMPTS)
        return cls(
            in_flight=in_flight,
            queue_places={
                name: QueuePlace(at, until, waits.get(name, 0), claims.get(name, 0))
                for name, (at, until) in body.get("tickets", {}).items()
            },
            claims={name: claim for name, claim in claims.items() if name in in_flight},
        )


class LoadPart(Struct, frozen=True, kw_only=True):
    """One process's part of a backend's load.

    `left` maps attempts and queued turns of other parts that have ended here to the time until which those count them.
    """

    load: Load = field(default_factory=Load)
    left: Mapping[str, float] = NO_ATTEMPTS

    def kept_until(self, now: float) -> float:
        """Return when the part may be forgotten."""
        return max([now, *untils(self.load).values(), *self.left.values()]) + KEPT_S

    def after(self, load: Load, *, others: Load, now: float) -> "LoadPart":
        """Return the part after a change by which all parts together have become `load`; `others` are the other parts.

        What `load` no longer has is no longer counted; what is new or changed in it counts here.
        """
        counted = untils(load)
        gone = {name: until for name, until in untils(others).items() if name not in counted}
        return LoadPart(
            load=Load(
                in_flight=own(load.in_flight, self.load.in_flight, others.in_flight),
                queue_places=own(load.queue_places, self.load.queue_places, others.queue_places),
                claims=load.claims,
            ).with_known_claims(),
            left={name: until for name, until in {**self.left, **gone}.items() if until > now and name not in counted},
        )

    def to_document(self) -> dict[str, Any]:
        return {"v": 1, **self.load.to_document(), "left": dict(self.left)}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(load=Load.from_document(body), left=body.get("left", NO_ATTEMPTS))


def own[V](all_parts: Mapping[str, V], mine: Mapping[str, V], others: Mapping[str, V]) -> Mapping[str, V]:
    """Return the entries of a part: those that no other part has in the same way."""
    return {name: value for name, value in all_parts.items() if name in mine or others.get(name) != value}


def untils(load: Load) -> Mapping[str, float]:
    """Return until when each attempt and each queued turn counts."""
    return {**load.in_flight, **{name: place.until for name, place in load.queue_places.items()}}


def merged(parts: Iterable[LoadPart]) -> Load:
    """Return the load of all parts together, without what has left."""
    all_parts = list(parts)
    whole = Load()
    for part in all_parts:
        whole = replace(
            whole,
            in_flight=latest(whole.in_flight, part.load.in_flight),
            queue_places=latest_places(whole.queue_places, part.load.queue_places),
            claims={**whole.claims, **part.load.claims} if part.load.claims else whole.claims,
        )
    left: Mapping[str, float] = NO_ATTEMPTS
    for part in all_parts:
        left = latest(left, part.left)
    return without_left(whole, left) if left else whole


def without_left(load: Load, left: Mapping[str, float]) -> Load:
    return Load(
        in_flight={name: until for name, until in load.in_flight.items() if until > left.get(name, 0.0)},
        queue_places={name: place for name, place in load.queue_places.items() if place.until > left.get(name, 0.0)},
        claims=load.claims,
    ).with_known_claims()


def latest(some: Mapping[str, float], more: Mapping[str, float]) -> Mapping[str, float]:
    """Return the entries of both, with the later time of those that both have."""
    if not some or not more:
        return some or more
    return {**some, **{name: max(until, some.get(name, until)) for name, until in more.items()}}


def latest_places(some: Mapping[str, QueuePlace], more: Mapping[str, QueuePlace]) -> Mapping[str, QueuePlace]:
    if not some or not more:
        return some or more
    newer = {name: place for name, place in more.items() if name not in some or place.until > some[name].until}
    return {**some, **newer}

"""Which attempts run at a backend, and which turns wait for it? Times are seconds since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Self

NO_ATTEMPTS: Final[Mapping[str, float]] = MappingProxyType({})
NO_QUEUE_PLACES: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The running attempts and the queue of one backend.

    `in_flight` maps each running attempt to the time by which it must have ended; later it no longer counts, so an
    attempt that died is not counted for ever. `queue_places` maps each queued turn to the time of its admission and to
    the time until which its place is kept.
    """

    in_flight: Mapping[str, float] = NO_ATTEMPTS
    queue_places: Mapping[str, tuple[float, float]] = NO_QUEUE_PLACES

    def running(self, now: float) -> int:
        return sum(until > now for until in self.in_flight.values()) if self.in_flight else 0

    def queued(self, now: float, *, apart_from: str = "") -> int:
        """Return how many turns hold a place in the queue now, not counting the response `apart_from`."""
        if not self.queue_places:
            return 0
        return sum(until > now and name != apart_from for name, (_, until) in self.queue_places.items())

    def queued_before(self, response: str, admitted_at: float, now: float) -> int:
        """Return how many queued turns were admitted before this one."""
        mine = (admitted_at, response)
        return sum(until > now and (at, name) < mine for name, (at, until) in self.queue_places.items())

    def with_attempt(self, attempt: str, *, until: float, now: float) -> "Load":
        """Return the load while an attempt runs, until `until` at the latest. A repeated call counts once."""
        alive = {name: end for name, end in self.in_flight.items() if end > now}
        return replace(self, in_flight={**alive, attempt: until})

    def without_attempt(self, attempt: str) -> "Load":
        return replace(self, in_flight={name: until for name, until in self.in_flight.items() if name != attempt})

    def with_place(self, response: str, *, admitted_at: float, until: float, now: float) -> "Load":
        """Return the load while a turn keeps its place in the queue."""
        kept = {name: place for name, place in self.queue_places.items() if place[1] > now}
        return replace(self, queue_places={**kept, response: (admitted_at, until)})

    def without_place(self, response: str) -> "Load":
        if response not in self.queue_places:
            return self
        kept = {name: place for name, place in self.queue_places.items() if name != response}
        return replace(self, queue_places=kept)

    def to_document(self) -> dict[str, Any]:
        return {
            "in_flight": dict(self.in_flight),
            "tickets": {name: list(place) for name, place in self.queue_places.items()},
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            in_flight=body.get("in_flight", NO_ATTEMPTS),
            queue_places={name: (at, until) for name, (at, until) in body.get("tickets", {}).items()},
        )

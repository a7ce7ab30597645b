"""How much demand did a backend have in the last weeks?

One document for each hour beside the backends' states counts the turns, what a GPU that is up saves in them, and its
work, in parts of the hour. So four weeks take a bounded number of bytes, and adding needs no compare-and-swap.
"""

import asyncio
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from clients.clock import Clock
from clients.storage.damage import readable
from clients.storage.port import Body, Document, DocumentStore
from domain.fleet.catalog import Backend
from domain.money.ledger_records import NANOS, nanos
from domain.routing.rent_or_buy import window_s
from domain.routing.rules.replay import PastDemand
from domain.routing.rules.rule_choice import ObservedDemand
from state.fleet.fleet_counters import Addition, FleetCounters
from state.fleet.state_documents import FLEET, backend_key

HOUR_S: Final = 3600
KEPT_S: Final = 28 * 24 * HOUR_S
PARTS_OF_WINDOW: Final = 15
LEAST_PART_S: Final = 15
"""An hour has at most 240 parts, and a document some 10 KB."""

PREFIX: Final = "demand_"
SEPARATOR: Final = "~"
HOUR_DIGITS: Final = 12
MOST_LISTED: Final = 1000
MANY: Final = 24
"""More hours are read in a thread: four weeks take half a second, which would block the event loop."""


class DemandLog:
    """Amounts are dollars. An amount that cannot be stored is lost: it chooses rules, no bill."""

    def __init__(self, store: DocumentStore, clock: Clock, counters: FleetCounters) -> None:
        self.store = store
        self.clock = clock
        self.counters = counters

    async def add(self, backend: Backend, saved: Decimal, *, busy_s: float) -> None:
        """Add one turn of now."""
        await self.counters.add((self.addition(backend, saved, busy_s=busy_s),))

    def addition(self, backend: Backend, saved: Decimal, *, busy_s: float) -> Addition:
        now, part_s = self.clock.now(), part_length_s(backend)
        part = int(now % HOUR_S // part_s)
        return Addition(
            id=f"{hours_prefix(backend)}{hour_of(now)}",
            amounts={f"turns_{part}": 1, f"nanos_{part}": nanos(saved), f"work_ms_{part}": round(busy_s * 1000)},
            body={"kind": "demand", "v": 1, "part_s": part_s},
            expires_at=now + KEPT_S,
        )

    async def observed(self, backend: Backend, *, since: float | None = None) -> ObservedDemand:
        """Return the demand since the hour of a time, by default that of the last four weeks.

        Earlier releases kept it in the partition of the backend.
        """
        first, prefix = hour_of(self.clock.now() - KEPT_S if since is None else since), hours_prefix(backend)
        earlier, later = await asyncio.gather(
            self.store.list(backend_key(backend), prefix=PREFIX, after=PREFIX + first, limit=MOST_LISTED),
            self.store.list(FLEET, prefix=prefix, after=prefix + first, limit=MOST_LISTED),
        )
        found = (*earlier, *later)
        return await asyncio.to_thread(demand_in, found) if len(found) > MANY else demand_in(found)


def demand_in(found: Sequence[Document]) -> ObservedDemand:
    """Return the demand of many hours."""
    hours = list(readable(found, demand_of))
    return ObservedDemand([part for hour in hours for part in hour.parts], sum(hour.turns for hour in hours))


def demand_of(hour: Document) -> ObservedDemand:
    """Return the demand of an hour."""

    def read(body: Body) -> ObservedDemand:
        turns = sum(int(value) for name, value in body.items() if name.startswith("turns_"))
        return ObservedDemand(list(parts_of(float(hour.id[-HOUR_DIGITS:]), body)), turns)

    return hour.read_as(read)


def parts_of(began: float, body: Body) -> Iterator[PastDemand]:
    """Yield the demand of an hour in the order of time; the turns of a part work at once."""
    part_s = body["part_s"]
    for part in sorted(int(name.removeprefix("turns_")) for name in body if name.startswith("turns_")):
        turns, saved = body[f"turns_{part}"], body[f"nanos_{part}"]
        busy_s = body[f"work_ms_{part}"] / 1000 / turns
        yield PastDemand(began + part * part_s, float(Decimal(saved) / NANOS), busy_s)


def part_length_s(backend: Backend) -> int:
    return max(LEAST_PART_S, round(window_s(backend, backend.cold_start.p50_s) / PARTS_OF_WINDOW))


def hours_prefix(backend: Backend) -> str:
    return f"{PREFIX}{backend.name}{SEPARATOR}"


def hour_of(at: float) -> str:
    """Return the beginning of an hour as the end of an id."""
    return f"{int(at // HOUR_S * HOUR_S):0{HOUR_DIGITS}d}"

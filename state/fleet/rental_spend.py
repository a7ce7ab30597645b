"""How much would a backend have saved recently if it had been up?

The window has ten parts. Each part is one counter document beside the states of all backends. So adding needs no
compare-and-swap, and one call reads the parts of all backends.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from clients.clock import Clock
from clients.storage.damage import readable
from clients.storage.paging import list_all
from clients.storage.port import Body, Document, DocumentStore
from domain.fleet.catalog import Backend
from domain.fleet.instances.numbered import MARK
from domain.money.ledger_records import NANOS, nanos
from domain.routing.rent_or_buy import SpendPart
from state.fleet.fleet_counters import Addition, FleetCounters
from state.fleet.state_documents import FLEET, NOW, backend_key

PARTS = 10
KEPT = 3
"""A part is kept for this many windows: the longest that a rule looks back, and the part itself."""

AMOUNT = "nanos"
PREFIX = f"{NOW}rent_"
SEPARATOR = "~"
EARLIER_PREFIX = "rent_"
"""Begins the ids of earlier releases, in the partition of each backend."""

IN_ID = "+"
"""Stands in an id for the mark before the number of an instance: Azure Cosmos DB allows no # there."""

SHARED = "with_"
"""The prefix of the counters of what the same turns added for other backends."""

MOST_SHARED = 9
"""One addition changes at most ten counters. Of more than ten interchangeable backends, the others are not counted."""

FIELD_NAMES = str.maketrans({"-": "_", ".": "D"})
"""A counter's name is an identifier; a backend's name has lower-case letters, digits, hyphens and dots."""
BACKEND_NAMES = str.maketrans({"_": "-", "D": "."})


class SpendWindow(Struct, frozen=True, kw_only=True):
    """A backend, the seconds of its window, and how many windows count."""

    backend: Backend
    seconds: float
    reach: float


class RentalSpend:
    """Amounts are dollars, windows seconds. An amount that cannot be stored is lost: it decides warm-ups, no bill."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.counters = FleetCounters(store)
        self.earlier: dict[str, Sequence[Document]] = {}

    async def add(
        self, backend: Backend, amount: Decimal, *, window_s: float, shared: Mapping[str, Decimal] | None = None
    ) -> None:
        """Add an amount; `shared` are the amounts that the same turn adds for other backends."""
        await self.counters.add((self.addition(backend, amount, window_s=window_s, shared=shared or {}),))

    def addition(
        self, backend: Backend, amount: Decimal, *, window_s: float, shared: Mapping[str, Decimal]
    ) -> Addition:
        now = self.clock.now()
        return Addition(
            id=part_id(backend.name, now, window_s),
            amounts={AMOUNT: nanos(amount), **shared_counters(amount, shared)},
            body={"kind": "rent", "v": 1, AMOUNT: 0},
            expires_at=now + KEPT * window_s,
        )

    async def recent(self, backend: Backend, *, window_s: float, reach: float = 1.0) -> Sequence[SpendPart]:
        """Return what was added within the last `reach` windows; of the first part, only the share inside that time."""
        windows = {backend.name: SpendWindow(backend=backend, seconds=window_s, reach=reach)}
        found = await list_all(self.store, FLEET, prefix=part_prefix(backend.name))
        return (await self.recent_among(found, windows))[backend.name]

    async def recent_among(
        self, found: Sequence[Document], windows: Mapping[str, SpendWindow]
    ) -> Mapping[str, Sequence[SpendPart]]:
        """Return the same for many backends, among documents that were read together."""
        await self.read_earlier([each.backend for each in windows.values()])
        parts: dict[str, list[Document]] = {name: list(self.earlier[name]) for name in windows}
        for each in found:
            name = counted_for(each.id) if each.id.startswith(PREFIX) else ""
            if name in parts:
                parts[name].append(each)
        return {name: self.within(each, parts[name]) for name, each in windows.items()}

    def within(self, window: SpendWindow, parts: Iterable[Document]) -> Sequence[SpendPart]:
        part_s, since = length_s(window.seconds), self.clock.now() - window.reach * window.seconds
        recent = [part for part in parts if began(part) > since - part_s]
        return tuple(readable(recent, lambda part: spend_part(part, since=since, part_s=part_s)))

    async def read_earlier(self, backends: Sequence[Backend]) -> None:
        """Read once what earlier releases kept in the partition of each backend."""
        new = [each for each in backends if each.name not in self.earlier]
        found = await asyncio.gather(*(self.store.list(backend_key(each), prefix=EARLIER_PREFIX) for each in new))
        self.earlier |= {each.name: parts for each, parts in zip(new, found, strict=True)}

    async def total(self, backend: Backend, *, window_s: float) -> Decimal:
        """Return the dollars that were added within the last `window_s` seconds."""
        return sum((part.amount for part in await self.recent(backend, window_s=window_s)), Decimal(0))


def shared_counters(amount: Decimal, shared: Mapping[str, Decimal]) -> Mapping[str, int]:
    """Return how much of an amount the same turn added for each other backend: at most all of it."""
    first = sorted(shared)[:MOST_SHARED]
    return {f"{SHARED}{name.translate(FIELD_NAMES)}": nanos(min(amount, shared[name])) for name in first}


def spend_part(part: Document, *, since: float, part_s: float) -> SpendPart:
    return part.read_as(lambda body: spend_of(began(part), body, since=since, part_s=part_s))


def began(part: Document) -> float:
    """Return when a part began; the id of an earlier release names no backend."""
    return float(part.id.removeprefix(EARLIER_PREFIX).rpartition(SEPARATOR)[2])


def spend_of(began: float, body: Body, *, since: float, part_s: float) -> SpendPart:
    share = Decimal(str(round(min(1.0, max(0.0, (began + part_s - since) / part_s)), 3)))
    shared = {
        name.removeprefix(SHARED).translate(BACKEND_NAMES): share * int(value) / NANOS
        for name, value in body.items()
        if name.startswith(SHARED)
    }
    return SpendPart(began=began, amount=share * int(body[AMOUNT]) / NANOS, shared=shared)


def length_s(window_s: float) -> float:
    return max(window_s / PARTS, 1.0)


def part_prefix(backend: str) -> str:
    return f"{PREFIX}{backend.replace(MARK, IN_ID)}{SEPARATOR}"


def counted_for(part: str) -> str:
    """Return the name of the backend, or of its instance, that a part was counted for."""
    return part.removeprefix(PREFIX).partition(SEPARATOR)[0].replace(IN_ID, MARK)


def part_id(backend: str, at: float, window_s: float) -> str:
    part_s = length_s(window_s)
    return f"{part_prefix(backend)}{int(at // part_s * part_s):012d}"

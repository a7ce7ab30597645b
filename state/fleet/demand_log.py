"""How much demand did a backend have in the last weeks?

One document for each hour beside the backend's state counts the turns, what a GPU that is up saves in them, and its
work, in parts of the hour. So four weeks take a bounded number of bytes, and adding needs no compare-and-swap.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from clients.clock import Clock
from clients.storage.compare_and_swap import add_or_create
from clients.storage.damage import readable
from clients.storage.port import Add, Body, Create, Document, DocumentStore
from domain.fleet.catalog import Backend
from domain.money.ledger_records import NANOS, nanos
from domain.routing.rent_or_buy import window_s
from domain.routing.replay import PastDemand
from domain.routing.rule_choice import ObservedDemand
from state.fleet.state_documents import backend_key

HOUR_S: Final = 3600
KEPT_S: Final = 28 * 24 * HOUR_S
PARTS_OF_WINDOW: Final = 15
LEAST_PART_S: Final = 15
"""An hour has at most 240 parts, and a document some 10 KB."""

PREFIX: Final = "demand_"
MOST_LISTED: Final = 1000


class DemandLog:
    """Amounts are dollars. An amount that cannot be stored is lost: it chooses rules, no bill."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def add(self, backend: Backend, saved: Decimal, *, busy_s: float) -> None:
        """Add one turn of now."""
        now, key = self.clock.now(), backend_key(backend)
        identifier, part_s = hour_id(now), part_length_s(backend)
        part = int(now % HOUR_S // part_s)
        amounts = {f"turns_{part}": 1, f"nanos_{part}": nanos(saved), f"work_ms_{part}": round(busy_s * 1000)}
        body = {"kind": "demand", "v": 1, "part_s": part_s}
        create = Create(id=identifier, body=body, expires_at=now + KEPT_S)
        await add_or_create(self.store, key, Add(id=identifier, amounts=amounts), create)

    async def observed(self, backend: Backend) -> ObservedDemand:
        """Return the demand of the last four weeks."""
        after = hour_id(self.clock.now() - KEPT_S)
        stored = await self.store.list(backend_key(backend), prefix=PREFIX, after=after, limit=MOST_LISTED)
        hours = list(readable(stored, demand_of))
        return ObservedDemand([part for hour in hours for part in hour.parts], sum(hour.turns for hour in hours))


def demand_of(hour: Document) -> ObservedDemand:
    """Return the demand of an hour."""

    def read(body: Body) -> ObservedDemand:
        turns = sum(int(value) for name, value in body.items() if name.startswith("turns_"))
        return ObservedDemand(list(parts_of(float(hour.id.removeprefix(PREFIX)), body)), turns)

    return hour.read_as(read)


def parts_of(began: float, body: Body) -> Iterator[PastDemand]:
    """Yield the demand of an hour in the order of time; the turns of a part work at once."""
    part_s = body["part_s"]
    for part in sorted(int(name.removeprefix("turns_")) for name in body if name.startswith("turns_")):
        turns, saved = body[f"turns_{part}"], body[f"nanos_{part}"]
        busy_s = body[f"work_ms_{part}"] / 1000 / turns
        yield PastDemand(began + part * part_s, float(Decimal(saved) / NANOS), busy_s)


def part_length_s(backend: Backend) -> int:
    return max(LEAST_PART_S, round(window_s(backend) / PARTS_OF_WINDOW))


def hour_id(at: float) -> str:
    return f"{PREFIX}{int(at // HOUR_S * HOUR_S):012d}"

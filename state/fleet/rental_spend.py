"""How much would a backend have saved recently if it had been up?

The window has ten parts. Each part is one counter document beside the backend's state, so adding needs no
compare-and-swap.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from clients.clock import Clock
from clients.storage.compare_and_swap import add_or_create
from clients.storage.damage import readable
from clients.storage.port import Add, Body, Create, Document, DocumentStore
from domain.fleet.catalog import Backend
from domain.money.ledger_records import NANOS, nanos
from domain.routing.rent_or_buy import SpendPart
from state.fleet.state_documents import backend_key

PARTS = 10
KEPT = 3
"""A part is kept for this many windows: the longest that a rule looks back, and the part itself."""

AMOUNT = "nanos"
PREFIX = "rent_"
SHARED = "with_"
"""The prefix of the counters of what the same turns added for other backends."""

MOST_SHARED = 9
"""One addition changes at most ten counters. Of more than ten interchangeable backends, the others are not counted."""

FIELD_NAMES = str.maketrans({"-": "_", ".": "D"})
"""A counter's name is an identifier; a backend's name has lower-case letters, digits, hyphens and dots."""
BACKEND_NAMES = str.maketrans({"_": "-", "D": "."})


class RentalSpend:
    """Amounts are dollars, windows seconds. An amount that cannot be stored is lost: it decides warm-ups, no bill."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def add(
        self, backend: Backend, amount: Decimal, *, window_s: float, shared: Mapping[str, Decimal] | None = None
    ) -> None:
        """Add an amount; `shared` are the amounts that the same turn adds for other backends."""
        identifier = part_id(self.clock.now(), window_s)
        addition = Add(id=identifier, amounts={AMOUNT: nanos(amount), **shared_counters(amount, shared or {})})
        key = backend_key(backend)
        body, expires_at = {"kind": "rent", "v": 1, AMOUNT: 0}, self.clock.now() + KEPT * window_s
        await add_or_create(self.store, key, addition, Create(id=identifier, body=body, expires_at=expires_at))

    async def recent(self, backend: Backend, *, window_s: float, reach: float = 1.0) -> Sequence[SpendPart]:
        """Return what was added within the last `reach` windows; of the first part, only the share inside that time."""
        part_s, since = length_s(window_s), self.clock.now() - reach * window_s
        parts = await self.store.list(backend_key(backend), prefix=PREFIX, after=part_id(since - part_s, window_s))
        return tuple(readable(parts, lambda part: spend_part(part, since=since, part_s=part_s)))

    async def total(self, backend: Backend, *, window_s: float) -> Decimal:
        """Return the dollars that were added within the last `window_s` seconds."""
        return sum((part.amount for part in await self.recent(backend, window_s=window_s)), Decimal(0))


def shared_counters(amount: Decimal, shared: Mapping[str, Decimal]) -> Mapping[str, int]:
    """Return how much of an amount the same turn added for each other backend: at most all of it."""
    first = sorted(shared)[:MOST_SHARED]
    return {f"{SHARED}{name.translate(FIELD_NAMES)}": nanos(min(amount, shared[name])) for name in first}


def spend_part(part: Document, *, since: float, part_s: float) -> SpendPart:
    return part.read_as(lambda body: spend_of(float(part.id.removeprefix(PREFIX)), body, since=since, part_s=part_s))


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


def part_id(at: float, window_s: float) -> str:
    part_s = length_s(window_s)
    return f"{PREFIX}{int(at // part_s * part_s):012d}"

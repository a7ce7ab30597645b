"""How much was recently spent on other backends for turns that a cold backend could have taken?

The window has ten parts. Each part is one counter document beside the backend's state, so adding needs no
compare-and-swap.
"""

from decimal import Decimal

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged, create_once
from clients.storage.port import Add, Create, DocumentStore
from domain.fleet.catalog import Backend
from domain.money.ledger_records import NANOS, nanos
from state.fleet.backend_state import backend_key

PARTS = 10
AMOUNT = "nanos"
PREFIX = "rent_"


class RentalSpend:
    """Amounts are dollars, windows seconds. An amount that cannot be stored is lost: it decides warm-ups, no bill."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def add(self, backend: Backend, amount: Decimal, *, window_s: float) -> None:
        identifier = part_id(self.clock.now(), window_s)
        addition = Add(id=identifier, amounts={AMOUNT: nanos(amount)})
        key = backend_key(backend)
        if not await commit_if_unchanged(self.store, key, (addition,)):
            body = {"kind": "rent", "v": 1, AMOUNT: 0}
            expires_at = self.clock.now() + 2 * window_s
            await create_once(self.store, key, Create(id=identifier, body=body, expires_at=expires_at))
            await self.store.commit(key, (addition,))

    async def total(self, backend: Backend, *, window_s: float) -> Decimal:
        """Return the dollars that were added within the last `window_s` seconds."""
        before = part_id(self.clock.now() - window_s, window_s)
        parts = await self.store.list(backend_key(backend), prefix=PREFIX, after=before)
        return sum((Decimal(int(part.body[AMOUNT])) for part in parts), Decimal(0)) / NANOS


def part_id(at: float, window_s: float) -> str:
    part_s = max(window_s / PARTS, 1.0)
    return f"{PREFIX}{int(at // part_s * part_s):012d}"

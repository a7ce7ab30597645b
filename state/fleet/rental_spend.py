"""What was spent elsewhere, lately, on turns that a sleeping backend could have taken?

Counted in tenths of the window, one document each beside the backend's belief: adding to one takes no turn with others.
"""

from contextlib import suppress
from decimal import Decimal

from clients.clock import Clock
from clients.storage.port import Add, Create, DocumentStore
from domain.errors import Conflict
from domain.fleet.catalog import Backend
from domain.money.ledger_records import NANOS, nanos
from state.fleet.backend_state import backend_key

PARTS = 10
AMOUNT = "nanos"
PREFIX = "rent_"


class RentalSpend:
    """Amounts are dollars, windows seconds. What can't be counted is lost; it decides on a wake and on no bill."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def paid(self, backend: Backend, amount: Decimal, *, window_s: float) -> None:
        identifier = part_id(self.clock.now(), window_s)
        adding = Add(id=identifier, amounts={AMOUNT: nanos(amount)})
        key = backend_key(backend)
        try:
            await self.store.commit(key, (adding,))
        except Conflict:
            body = {"kind": "rent", "v": 1, AMOUNT: 0}
            expires_at = self.clock.now() + 2 * window_s
            with suppress(Conflict):
                await self.store.commit(key, (Create(id=identifier, body=body, expires_at=expires_at),))
            await self.store.commit(key, (adding,))

    async def within(self, backend: Backend, *, window_s: float) -> Decimal:
        before = part_id(self.clock.now() - window_s, window_s)
        found = await self.store.list(backend_key(backend), prefix=PREFIX, after=before)
        return sum((Decimal(int(part.body[AMOUNT])) for part in found), Decimal(0)) / NANOS


def part_id(at: float, window_s: float) -> str:
    part_s = max(window_s / PARTS, 1.0)
    return f"{PREFIX}{int(at // part_s * part_s):012d}"

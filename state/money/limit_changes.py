"""Which budgets and rate limits has an operator changed? The app reads them while it runs, without a restart."""

from typing import Final

from clients.clock import Clock
from clients.single_flight import SingleFlight
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
from clients.storage.keys import money_key
from clients.storage.port import Create, Document, DocumentStore, Replace
from domain.turns.limit_changes import NO_CHANGES, LimitChanges, LimitValues

DOCUMENT: Final = "limit_changes"
REFRESH_S: Final = 60.0
"""A process uses for this long what it has read: a change takes effect within a minute, at one read a minute."""


class TenantChanges:
    """The changes of one tenant, as one process knows them."""

    def __init__(self, tenant: str, store: DocumentStore, clock: Clock) -> None:
        self.key = money_key(tenant)
        self.store = store
        self.clock = clock
        self.read_at: float | None = None
        self.known = NO_CHANGES
        self.reading = SingleFlight(self.read)

    async def current(self) -> LimitChanges:
        """Return the changes, at most `REFRESH_S` old."""
        if self.read_at is None or self.clock.now() - self.read_at >= REFRESH_S:
            await self.reading.result()
        return self.known

    async def read(self) -> None:
        at = self.clock.now()
        self.known = changes_in(await self.store.read(self.key, DOCUMENT))
        self.read_at = at

    async def change(self, values: LimitValues, reset: frozenset[str], *, by: str) -> LimitChanges:
        """Change some values and reset others to the configuration; safe to repeat."""

        async def step() -> LimitChanges:
            found = await self.store.read(self.key, DOCUMENT)
            changes = changes_in(found).changed(values, reset, at=self.clock.now(), by=by)
            body = changes.to_document()
            write = Replace(id=DOCUMENT, body=body, etag=found.etag) if found else Create(id=DOCUMENT, body=body)
            await self.store.commit(self.key, (write,))
            return changes

        self.known = await compare_and_swap(self.clock, step)
        self.read_at = self.clock.now()
        return self.known


class ChangedLimits:
    """The changes of all tenants. Budgets and rate limits that nobody changed are as configured."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.tenants: dict[str, TenantChanges] = {}

    def tenant(self, tenant: str) -> TenantChanges:
        return self.tenants.setdefault(tenant, TenantChanges(tenant, self.store, self.clock))

    async def current(self, tenant: str) -> LimitChanges:
        return await self.tenant(tenant).current()


def changes_in(found: Document | None) -> LimitChanges:
    return read_or_none(found, lambda document: document.read_as(LimitChanges.from_document)) or NO_CHANGES

"""Which usage rows has an owner or a tenant between two days?

For a tenant the rows are those of the roll-ups, where the question names nothing that only single rows know.
"""

from collections.abc import Iterable
from typing import Final

from clients.storage.compare_and_swap import create_once
from clients.storage.damage import read_or_none, readable
from clients.storage.keys import money_key
from clients.storage.paging import list_all
from clients.storage.port import Create, Document, DocumentKey, DocumentStore
from domain.identity.owners import Owner
from domain.money.usage import DIMENSIONS, UsageRow, day_of, row_id_prefix
from domain.money.usage_rollups import BY, PREFIX, rows_of

LATER = "~"
"""Sorts after every id that begins with a day."""

BEGUN: Final = "rollups"
"""The document of a tenant that says from which day on its roll-ups are whole."""

DAY_S: Final = 86_400
MIXED_DAYS: Final = 2
"""Instances of an earlier release may write rows alone on this many days after a tenant's first roll-up."""


async def begin_roll_ups(store: DocumentStore, key: DocumentKey, *, now: float) -> None:
    """Record from which day on the roll-ups of a tenant are whole, once."""
    if await store.read(key, BEGUN) is None:
        body = {"kind": BEGUN, "v": 1, "since": day_of(now + MIXED_DAYS * DAY_S)}
        await create_once(store, key, Create(id=BEGUN, body=body))


class UsageRows:
    """Reads the rows that attempts write when they close."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store
        self.begun: dict[str, str] = {}

    async def of_owner(self, owner: Owner, *, first: str, last: str) -> list[UsageRow]:
        """Return an owner's rows from the first to the last day, both included; days like `2026-11-22`."""
        mine = row_id_prefix(owner.subject)
        found = await list_all(
            self.store, money_key(owner.tenant), prefix=mine, after=mine + first, before=mine + last + LATER
        )
        return list(readable(found, usage_row))

    async def of_tenant(self, tenant: str, *, first: str, last: str, by: Iterable[str] = DIMENSIONS) -> list[UsageRow]:
        """Return rows of all owners of a tenant that can be grouped by `by`.

        Single rows of other days are read and left out.
        """
        if BY.issuperset(by) and first >= await self.rolled_up_since(tenant):
            return await self.rolled_up(tenant, first=first, last=last)
        found = await list_all(self.store, money_key(tenant), prefix=row_id_prefix())
        rows = readable(found, usage_row)
        return [row for row in rows if first <= row.dimensions["day"] <= last]

    async def rolled_up(self, tenant: str, *, first: str, last: str) -> list[UsageRow]:
        found = await list_all(
            self.store, money_key(tenant), prefix=PREFIX, after=PREFIX + first, before=PREFIX + last + LATER
        )
        return [row for rows in readable(found, roll_up_rows) for row in rows]

    async def rolled_up_since(self, tenant: str) -> str:
        """Return the first day of whole roll-ups; it does not change. No day is after `LATER`."""
        if tenant not in self.begun:
            found = await self.store.read(money_key(tenant), BEGUN)
            since = read_or_none(found, lambda document: document.read_as(lambda body: str(body["since"])))
            if since is None:
                return LATER
            self.begun[tenant] = since
        return self.begun[tenant]


def usage_row(document: Document) -> UsageRow:
    return document.read_as(UsageRow.from_document)


def roll_up_rows(document: Document) -> list[UsageRow]:
    return document.read_as(rows_of)

"""Which rows of usage lie between two days?"""

from clients.storage.paging import everything
from clients.storage.port import Container, DocumentKey, DocumentStore
from domain.identity.owners import Owner
from domain.money.usage import UsageRow, rows_of

LATER = "~"
"""Comes after all that follows a day in the id of a row."""


class UsageRows:
    """Reads what attempts have written as they closed."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def of_owner(self, owner: Owner, *, first: str, last: str) -> list[UsageRow]:
        """Return an owner's rows from one day to another, both included; days as in `2026-11-22`."""
        key, mine = DocumentKey(container=Container.MONEY, parts=(owner.tenant,)), rows_of(owner.subject)
        found = await everything(self.store, key, prefix=mine, after=mine + first, before=mine + last + LATER)
        return [UsageRow.from_document(each.body) for each in found]

    async def of_tenant(self, tenant: str, *, first: str, last: str) -> list[UsageRow]:
        """Return the rows of all of a tenant's owners; those of other days are read too."""
        found = await everything(self.store, DocumentKey(container=Container.MONEY, parts=(tenant,)), prefix=rows_of())
        rows = [UsageRow.from_document(each.body) for each in found]
        return [row for row in rows if first <= row.place["day"] <= last]

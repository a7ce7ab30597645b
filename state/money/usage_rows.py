"""Which usage rows has an owner or a tenant between two days?"""

from clients.storage.paging import list_all
from clients.storage.port import Container, DocumentKey, DocumentStore
from domain.identity.owners import Owner
from domain.money.usage import UsageRow, rows_of

LATER = "~"
"""Sorts after every id that begins with a day."""


class UsageRows:
    """Reads the rows that attempts write when they close."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def of_owner(self, owner: Owner, *, first: str, last: str) -> list[UsageRow]:
        """Return an owner's rows from the first to the last day, both included; days like `2026-11-22`."""
        key, mine = DocumentKey(container=Container.MONEY, parts=(owner.tenant,)), rows_of(owner.subject)
        found = await list_all(self.store, key, prefix=mine, after=mine + first, before=mine + last + LATER)
        return [UsageRow.from_document(each.body) for each in found]

    async def of_tenant(self, tenant: str, *, first: str, last: str) -> list[UsageRow]:
        """Return the rows of all owners of a tenant; the rows of other days are read and left out."""
        found = await list_all(self.store, DocumentKey(container=Container.MONEY, parts=(tenant,)), prefix=rows_of())
        rows = [UsageRow.from_document(each.body) for each in found]
        return [row for row in rows if first <= row.place["day"] <= last]

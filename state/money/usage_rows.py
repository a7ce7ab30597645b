"""Which usage rows has an owner or a tenant between two days?"""

from clients.storage.damage import readable
from clients.storage.paging import list_all
from clients.storage.port import Container, Document, DocumentKey, DocumentStore
from domain.identity.owners import Owner
from domain.money.usage import UsageRow, row_id_prefix

LATER = "~"
"""Sorts after every id that begins with a day."""


class UsageRows:
    """Reads the rows that attempts write when they close."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def of_owner(self, owner: Owner, *, first: str, last: str) -> list[UsageRow]:
        """Return an owner's rows from the first to the last day, both included; days like `2026-11-22`."""
        key, mine = DocumentKey(container=Container.MONEY, parts=(owner.tenant,)), row_id_prefix(owner.subject)
        found = await list_all(self.store, key, prefix=mine, after=mine + first, before=mine + last + LATER)
        return list(readable(found, usage_row))

    async def of_tenant(self, tenant: str, *, first: str, last: str) -> list[UsageRow]:
        """Return the rows of all owners of a tenant; the rows of other days are read and left out."""
        found = await list_all(
            self.store, DocumentKey(container=Container.MONEY, parts=(tenant,)), prefix=row_id_prefix()
        )
        rows = readable(found, usage_row)
        return [row for row in rows if first <= row.dimensions["day"] <= last]


def usage_row(document: Document) -> UsageRow:
    return document.read_as(UsageRow.from_document)

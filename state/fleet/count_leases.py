"""Which backends has the product set an instance count above 0 for, and who sets it to 0?

A lease is one document beside the sessions of its backend. One process at a time works on it: the one that has written
it last, unless that has been silent for a while.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from clients.clock import Clock, process_name
from clients.storage.compare_and_swap import commit_if_unchanged
from clients.storage.damage import read_or_none
from clients.storage.port import Create, Delete, Document, DocumentStore, Replace
from domain.fleet.catalog import Backend
from domain.fleet.instances.lease import CountLease, LeasePhase
from state.fleet.state_documents import backend_key

LEASE_ID: Final = "count"
SILENT_S: Final = 45.0
"""A process that has not written its lease for so long while it ends the instance counts as dead."""


class StoredLease(Struct, frozen=True, kw_only=True):
    """A lease with the process that wrote it last, and when (seconds since the epoch)."""

    lease: CountLease
    process: str
    written_at: float
    etag: str

    def is_free(self, process: str, now: float) -> bool:
        """Return whether a process may end the instance: no other one is about to."""
        is_own = self.process == process
        return self.lease.phase is LeasePhase.RUNNING or is_own or now - self.written_at >= SILENT_S


class CountLeases:
    """Reads and writes the leases; one that is damaged reads as one that is due."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.process = process_name()

    async def read(self, backend: Backend) -> StoredLease | None:
        found = await self.store.read(backend_key(backend), LEASE_ID)
        if found is None:
            return None
        return read_or_none(found, stored_lease) or damaged(found)

    async def create(self, backend: Backend, lease: CountLease) -> bool:
        """Write the first lease; False where there is one already."""
        return await commit_if_unchanged(
            self.store, backend_key(backend), (Create(id=LEASE_ID, body=self.body_of(lease)),)
        )

    async def replace(self, backend: Backend, found: StoredLease, lease: CountLease) -> bool:
        """Write a lease in the place of the one that was read; False where another writer was first."""
        write = Replace(id=LEASE_ID, body=self.body_of(lease), etag=found.etag)
        return await commit_if_unchanged(self.store, backend_key(backend), (write,))

    async def remove(self, backend: Backend, found: StoredLease) -> bool:
        return await commit_if_unchanged(self.store, backend_key(backend), (Delete(id=LEASE_ID, etag=found.etag),))

    def body_of(self, lease: CountLease) -> Mapping[str, object]:
        return {**lease.to_document(), "process": self.process, "written_at": self.clock.now()}


def stored_lease(document: Document) -> StoredLease:
    return StoredLease(
        lease=document.read_as(CountLease.from_document),
        process=document.body["process"],
        written_at=document.body["written_at"],
        etag=document.etag,
    )


def damaged(document: Document) -> StoredLease:
    lease = CountLease(by="", at=0.0, phase=LeasePhase.ENDING)
    return StoredLease(lease=lease, process="", written_at=0.0, etag=document.etag)

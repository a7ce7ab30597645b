"""Which batches does an owner have, and how does one change while several processes change it?"""

from collections.abc import Callable
from contextlib import suppress
from copy import replace

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged, compare_and_swap
from clients.storage.damage import readable
from clients.storage.keys import owner_index_key, thread_id
from clients.storage.paging import list_all
from clients.storage.port import (
    SWEEP_LIMIT,
    Container,
    Create,
    Delete,
    Document,
    DocumentStore,
    Operation,
    Replace,
)
from domain.batches.batch import Batch
from domain.batches.line_ids import thread_of_batch
from domain.errors import NotFound
from domain.identity.owners import Owner
from state.batches.line_store import LineStore
from state.batches.pauses import BatchPauses
from state.batches.starts import BatchStarts
from state.time_index import IndexPage, IndexRange, read_page, time_entry_id

LISTED = "batchlist_"
INPUTS = "batchinput_"
"""An input file has an entry with this prefix for each batch that has not ended."""

BATCH = "batch_"
ACTIVE = "active"


class BatchStore:
    """Stores batches in the owner's index. Every method is safe to repeat; none finds the batch of another owner."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.lines = LineStore(store, clock)
        self.pauses = BatchPauses(store, clock)
        self.starts = BatchStarts(store, clock)

    async def create(self, batch: Batch) -> Batch:
        """Store a new batch, with its entries in the owner's index; return the stored one where it exists already."""
        writes = (
            Create(id=batch.id, body=batch.to_document()),
            Create(id=listed_id(batch), body={"kind": "listed_batch", "v": 1, "at": batch.created_at, "of": batch.id}),
            Create(id=input_id(batch), body={"kind": "batch_input", "v": 1, "at": batch.created_at}),
            Create(
                id=thread_id(thread_of_batch(batch.id) or ""), body={"kind": "thread", "v": 1, "at": batch.created_at}
            ),
        )
        if await commit_if_unchanged(self.store, owner_index_key(batch.owner), writes):
            return batch
        return await self.read(batch.owner, batch.id)

    async def document(self, owner: Owner, identifier: str) -> Document:
        known = thread_of_batch(identifier) is not None
        found = await self.store.read(owner_index_key(owner), identifier) if known else None
        if found is None:
            raise NotFound.by_id("Batch", identifier)
        return found

    async def read(self, owner: Owner, identifier: str) -> Batch:
        """Return a batch; raises NotFound."""
        return (await self.document(owner, identifier)).read_as(Batch.from_document)

    async def change(self, owner: Owner, identifier: str, decide: Callable[[Batch], Batch]) -> Batch:
        """Write what `decide` makes of a batch, and return it; raises NotFound. A batch that has ended stays."""

        async def step() -> Batch:
            found = await self.document(owner, identifier)
            before = found.read_as(Batch.from_document)
            after = before if before.status.has_ended else decide(before)
            if after != before:
                writes: list[Operation] = [Replace(id=found.id, body=after.to_document(), etag=found.etag)]
                writes += [Delete(id=input_id(after))] if after.status.has_ended else []
                await self.store.commit(owner_index_key(owner), writes)
            return after

        return await compare_and_swap(self.clock, step)

    async def page(self, owner: Owner, *, after: str, limit: int) -> IndexPage[Batch]:
        """Return batches, newest first, after the batch `after`; raises NotFound where there is none."""

        async def load(entry: Document) -> Batch | None:
            try:
                return await self.read(owner, entry.body["of"])
            except NotFound:
                return None

        start = listed_id(await self.read(owner, after)) if after else ""
        return await read_page(
            self.store, owner_index_key(owner), IndexRange(prefix=LISTED, after=start), load, limit=limit
        )

    async def reads_file(self, owner: Owner, file_id: str) -> bool:
        """Return whether a batch that has not ended has a file as its input."""
        prefix = f"{INPUTS}{file_id}_"
        return bool(await self.store.list(owner_index_key(owner), prefix=prefix, limit=1))

    async def unended(self, owner: Owner) -> tuple[Batch, ...]:
        """Return the batches of an owner that have not ended, but no damaged ones."""
        entries = await list_all(self.store, owner_index_key(owner), prefix=INPUTS)
        found: list[Document] = []
        for entry in entries:
            with suppress(NotFound):
                found.append(await self.document(owner, f"{BATCH}{entry.id.rpartition(BATCH)[2]}"))
        return tuple(readable(found, lambda each: each.read_as(Batch.from_document)))

    async def active(self, *, before: float, limit: int = SWEEP_LIMIT) -> tuple[Batch, ...]:
        """Return batches of all owners that have not ended, at most `limit`, for the sweep.

        They were created before a time. Those come first that were looked at longest ago.
        """
        found = await self.store.find(Container.TURNS, kind="batch", status=ACTIVE, before=before, limit=limit)
        return tuple(readable(found, lambda each: each.document.read_as(Batch.from_document)))

    async def put_behind(self, batch: Batch) -> None:
        """Let `active` return a batch behind all others; raises NotFound."""
        await self.change(batch.owner, batch.id, lambda stored: replace(stored, looked_at=self.clock.now()))


def listed_id(batch: Batch) -> str:
    return time_entry_id(LISTED, batch.created_at, batch.id)


def input_id(batch: Batch) -> str:
    return f"{INPUTS}{batch.request.input_file}_{batch.id}"

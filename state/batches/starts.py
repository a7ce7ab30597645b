"""When does a batch begin, by which decision?"""

from msgspec import Struct

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.port import Create, DocumentStore, Replace
from domain.batches.batch import Batch
from domain.batches.start_time import StartDecision
from state.batches.line_store import lines_key

START = "start"


class BatchStart(Struct, frozen=True, kw_only=True):
    """A decision of a time (seconds since the epoch), and how often the batch had been looked at before it."""

    decision: StartDecision
    at: float
    looks: int


class BatchStarts:
    """Stores the last decision of each batch."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def read(self, batch: Batch) -> BatchStart | None:
        found = await self.store.read(lines_key(batch), START)
        if found is None:
            return None
        body = found.body
        return BatchStart(
            decision=found.read_as(lambda stored: StartDecision.from_document(stored["decision"])),
            at=body["at"],
            looks=body["looks"],
        )

    async def save(self, batch: Batch, decision: StartDecision, *, looks: int) -> None:
        key = lines_key(batch)
        body = {
            "kind": "batch_start",
            "v": 1,
            "at": self.clock.now(),
            "looks": looks,
            "decision": decision.to_document(),
        }

        async def step() -> None:
            found = await self.store.read(key, START)
            write = Replace(id=START, body=body, etag=found.etag) if found else Create(id=START, body=body)
            await self.store.commit(key, (write,))

        await compare_and_swap(self.clock, step)

"""When does a batch begin, by which decision?"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
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
        """Return the last decision; None where there is none, or where it is damaged: then it is made again."""
        return read_or_none(await self.store.read(lines_key(batch), START), lambda each: each.read_as(start_of))

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


def start_of(body: Mapping[str, Any]) -> BatchStart:
    return BatchStart(decision=StartDecision.from_document(body["decision"]), at=body["at"], looks=body["looks"])

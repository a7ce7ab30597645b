"""Which batches pause because a budget is full, and until when?"""

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.port import Create, DocumentStore, Replace
from domain.batches.batch import Batch
from domain.batches.line_ids import thread_of_batch
from state.batches.line_store import lines_key

PAUSE = "pause"
MARGIN_S = 15.0


class BatchPauses:
    """Notes pauses. A note ends by itself, when the batch has tried again."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.noted: dict[str, float] = {}

    async def note(self, batch: Batch, reason: str, delay_s: float) -> None:
        """Note why a batch pauses until it tries again; of many lines that pause at once, the first notes it."""
        until = self.clock.now() + delay_s + MARGIN_S
        if self.noted.get(batch.id, 0.0) > self.clock.now() + delay_s:
            return
        self.noted = {batch.id: until, **{name: at for name, at in self.noted.items() if at > self.clock.now()}}
        key, body = lines_key(batch), {"kind": "batch_pause", "v": 1, "until": until, "reason": reason}

        async def step() -> None:
            found = await self.store.read(key, PAUSE)
            write = Replace(id=PAUSE, body=body, etag=found.etag) if found else Create(id=PAUSE, body=body)
            await self.store.commit(key, (write,))

        await compare_and_swap(self.clock, step)

    async def reason(self, batch: Batch) -> str:
        """Return why a batch pauses now; an empty text where it runs."""
        if thread_of_batch(batch.id) is None:
            return ""
        found = await self.store.read(lines_key(batch), PAUSE)
        return str(found.body["reason"]) if found and found.body["until"] > self.clock.now() else ""

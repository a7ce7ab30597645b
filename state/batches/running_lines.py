"""Which turns of a batch run now, and how are they cancelled?"""

from clients.storage.damage import readable, report
from clients.storage.keys import turns_key
from clients.storage.paging import list_all
from domain.batches.batch import Batch
from domain.batches.line_ids import chunk_thread
from domain.errors import DamagedRecord, NotFound
from domain.turns.response import Response
from state.batches.line_store import LineStore
from state.turns.cancelling import cancelled
from state.turns.responses import TurnStore


class RunningLines:
    """Finds the turns in the threads of the chunks that are at work."""

    def __init__(self, turns: TurnStore, lines: LineStore) -> None:
        self.turns = turns
        self.lines = lines

    async def cancel(self, batch: Batch) -> None:
        """End the turns that run as cancelled, as each of them would be; safe to repeat."""
        for chunk in await self.lines.chunks_at_work(batch):
            for response_id in await self.lines.turns_elsewhere(batch, chunk):
                await self.cancel_turn(batch, response_id)
            key = turns_key(batch.owner, chunk_thread(batch.id, chunk))
            documents = await list_all(self.turns.store, key, prefix="resp_")
            for turn in readable(documents, lambda each: each.read_with_id(Response.from_document)):
                if not turn.status.is_terminal and turn.options.batch == batch.id:
                    await self.cancel_turn(batch, turn.id)

    async def cancel_turn(self, batch: Batch, response_id: str) -> None:
        """End a turn; one that is gone, or damaged itself, stays as it is."""
        try:
            await cancelled(self.turns, batch.owner, response_id)
        except NotFound:
            return
        except DamagedRecord as damage:
            report(damage)

"""How does a batch end: its files, its webhooks and its final status?"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from copy import replace
from typing import Final

from msgspec import Struct, field

from activities.batches.batch_input import BatchInput
from activities.batches.rows import DAMAGED, EXPIRED, custom_id_of, row_of
from clients.clock import Clock
from domain import wire
from domain.batches.batch import CHUNK_LINES, Batch, BatchStatus
from domain.batches.batch_wire import BatchFinishedWire, BatchWire, TalliedWire, TallyWire
from domain.batches.line_ids import ending_id
from domain.batches.totals import BatchTotals
from domain.errors import NotFound, Unavailable
from domain.files.stored_file import BATCH_OUTPUT
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoints
from state.batches.running_lines import RunningLines
from state.files.upload import FileUpload
from state.webhook_outbox import WebhookOutbox

LEAVE_TURNS: Final = frozenset({BatchStatus.CANCELLED, BatchStatus.EXPIRED})
"""With these outcomes, turns of lines may not have ended: they wait, and nothing would run them on."""


class Results(Struct, kw_only=True):
    """The files of a batch's results as they are written: one has the answers, the other everything else."""

    answers: FileUpload
    problems: FileUpload
    totals: BatchTotals = field(default_factory=BatchTotals)

    async def add(self, row: str, *, is_answer: bool) -> None:
        await (self.answers if is_answer else self.problems).add(f"{row}\n".encode())
        await self.answers.renew()
        await self.problems.renew()


class TallyLines:
    """Adds up the lines of a chunk when all of them have ended."""

    def __init__(self, source: BatchInput) -> None:
        self.source = source

    async def tally(self, request: TallyWire) -> TalliedWire:
        try:
            batch = await self.source.batch(wire.owner_from_wire(request), request["response"])
        except NotFound:
            return {"ended": 0}
        return {"ended": await self.source.lines.tally(batch, request["chunk"])}


class FinishBatch:
    """Ends batches. A step that is repeated writes the same files and announces the end once."""

    def __init__(
        self,
        *,
        source: BatchInput,
        running: RunningLines,
        outbox: WebhookOutbox,
        endpoints: WebhookEndpoints,
        clock: Clock,
    ) -> None:
        self.source = source
        self.running = running
        self.outbox = outbox
        self.endpoints = endpoints
        self.clock = clock

    async def finish(self, request: BatchWire) -> BatchFinishedWire:
        owner, identifier = wire.owner_from_wire(request), request["response"]
        try:
            await self.check_lines(await self.source.batches.read(owner, identifier))
            batch = await self.source.batches.change(owner, identifier, self.finalizing)
            if not batch.status.has_ended:
                batch = await self.end(batch)
        except NotFound:
            return {"status": "deleted"}
        await self.source.lines.clear(batch)
        return {"status": batch.status.value}

    async def check_lines(self, batch: Batch) -> None:
        """Raise Unavailable for a batch that is to go on: its lines have not all ended, and nothing stops them."""
        if batch.status is not BatchStatus.IN_PROGRESS or self.clock.now() >= batch.expires_at:
            return
        totals = await self.source.lines.totals(batch)
        if totals.completed + totals.failed < batch.lines:
            raise Unavailable(f"Lines of {batch.id} have not ended.")

    def finalizing(self, batch: Batch) -> Batch:
        """Decide how a batch ends, once; a failed one has no results to write."""
        if batch.status is BatchStatus.FINALIZING:
            return batch
        now = self.clock.now()
        expired = BatchStatus.EXPIRED if now >= batch.expires_at else BatchStatus.COMPLETED
        cancelled = BatchStatus.CANCELLED if batch.status is BatchStatus.CANCELLING else expired
        decided = replace(batch, outcome=batch.outcome or cancelled)
        return decided.entered(BatchStatus.FINALIZING, at=now)

    async def end(self, batch: Batch) -> Batch:
        """Write the files, store the deliveries of webhooks, and then the final status."""
        if batch.outcome in LEAVE_TURNS:
            await self.running.cancel(batch)
        ended = await self.with_results(batch) if batch.lines else batch
        outcome = batch.outcome or BatchStatus.FAILED
        deliveries = self.deliveries(batch)
        if deliveries:
            await self.outbox.announce(batch.owner, ending_id(batch.id), deliveries)
        now = self.clock.now()

        def final(stored: Batch) -> Batch:
            files = replace(stored, output_file=ended.output_file, error_file=ended.error_file, totals=ended.totals)
            return files.entered(outcome, at=now)

        try:
            return await self.source.batches.change(batch.owner, batch.id, final)
        except NotFound:
            await self.delete_results(ended)
            raise

    async def delete_results(self, batch: Batch) -> None:
        """Delete the files of a batch whose owner was erased while they were written."""
        for each in filter(None, (batch.output_file, batch.error_file)):
            with suppress(NotFound):
                await self.source.files.delete(batch.owner, each)

    def deliveries(self, batch: Batch) -> Sequence[WebhookDelivery]:
        """Return the deliveries of the end of a batch, to the webhooks whose events name it."""
        event, at = f"batch.{batch.outcome}", batch.times[BatchStatus.FINALIZING]
        return [
            WebhookDelivery(
                owner=batch.owner,
                response=ending_id(batch.id),
                status=None,
                at=at,
                endpoint=each.name,
                due_at=at,
                event={"type": event, "data": {"id": batch.id}},
            )
            for each in self.endpoints.wanting(batch.owner.tenant, event)
        ]

    async def with_results(self, batch: Batch) -> Batch:
        """Return the batch with its files, which have the lines in their order."""
        files = self.source.files
        results = Results(answers=FileUpload(files, batch.owner), problems=FileUpload(files, batch.owner))
        async for row, totals in self.rows(batch):
            results.totals += totals
            await results.add(row, is_answer=bool(totals.completed))
        output = await self.complete(batch, results.answers, "output")
        errors = await self.complete(batch, results.problems, "error")
        return replace(batch, output_file=output, error_file=errors, totals=results.totals)

    async def rows(self, batch: Batch) -> AsyncIterator[tuple[str, BatchTotals]]:
        """Yield the rows of all lines, also of damaged ones; in an expired batch, of those that have not ended too."""
        for chunk in range(batch.chunks):
            found = await self.source.lines.rows(batch, chunk)
            for line in range(chunk * CHUNK_LINES, min(batch.lines, (chunk + 1) * CHUNK_LINES)):
                row, totals = found.get(line, ("", BatchTotals(failed=1)))
                if row:
                    yield row, totals
                elif line in found or batch.outcome is BatchStatus.EXPIRED:
                    custom_id = custom_id_of(await self.source.known_line(batch, line))
                    yield row_of(batch, line, custom_id, error=DAMAGED if line in found else EXPIRED), totals

    async def complete(self, batch: Batch, upload: FileUpload, name: str) -> str | None:
        """Return the id of a file of results; None where there is nothing in it."""
        if not upload.size:
            return None
        filename = f"{batch.id}_{name}.jsonl"
        stored = await upload.complete(filename=filename, purpose=BATCH_OUTPUT, keep_s=batch.request.keep_s)
        return stored.id

"""Are all lines of a batch right, and can its owner's budgets ever cover them?"""

import asyncio
import hashlib
import math
from copy import replace
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct, field

from activities.batches.batch_input import BatchInput
from activities.batches.ports import BatchRequests, CheckedLine, LineMistake
from clients.clock import Clock
from domain import wire
from domain.batches.batch import LINES_LIMIT, Batch, BatchStatus
from domain.batches.batch_wire import BatchCheckedWire, BatchWire
from domain.batches.budget_room import exceeded_room
from domain.batches.width import chunks_at_once
from domain.errors import Exhausted, NotFound, Unavailable
from state.money.budget_counters import BudgetCounters

NOTHING: Final[BatchCheckedWire] = {"lines": 0, "chunk": 0, "width": 1}
MESSAGE_CHARACTERS: Final = 300
LOOKED_AT: Final = 262_144
"""The first bytes of a file that the creation of a batch reads, to refuse one that is too dear at once."""

BLANK: Final = b" \t\r"
NUMBERS_LIMIT: Final = 4 * LINES_LIMIT
"""A file has fewer lines than so many, the blank ones included."""


class CheckedInput(Struct, kw_only=True):
    """What is known of an input file by now: where its lines begin, what is wrong, and what it costs at most."""

    starts: list[int] = field(default_factory=list[int])
    end: int = 0
    number: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    seen: set[bytes] = field(default_factory=set[bytes])
    models: set[str] = field(default_factory=set[str])
    worst_cost: Decimal = Decimal(0)
    input_tokens: int = 0
    output_tokens: int = 0

    def report(self, mistake: LineMistake, line: int | None) -> None:
        message = mistake.message[:MESSAGE_CHARACTERS]
        self.errors.append({"code": mistake.code, "line": line, "message": message, "param": mistake.param})

    def take(self, found: CheckedLine | LineMistake) -> None:
        """Add what was found in the line with the present number, which counts from 1."""
        if isinstance(found, LineMistake):
            self.report(found, self.number)
            return
        name = hashlib.blake2b(found.custom_id.encode(errors="surrogatepass"), digest_size=12).digest()
        if name in self.seen:
            self.report(REPEATED, self.number)
        self.seen.add(name)
        self.worst_cost += found.worst_cost
        self.input_tokens += found.input_tokens
        self.output_tokens += found.output_tokens
        if len(self.models) <= 1:
            self.models.add(found.model)


REPEATED: Final = LineMistake(
    code="duplicate_custom_id",
    message="Invalid 'custom_id': another line has the same; each line of a batch needs its own.",
    param="custom_id",
)
EMPTY: Final = LineMistake(code="empty_file", message="The input file has no line: expected one request in each line.")
TOO_MANY: Final = LineMistake(
    code="too_many_lines",
    message=f"The input file has more than {LINES_LIMIT:,} lines, or too many blank ones: split it.",
)
GONE: Final = LineMistake(
    code="file_not_found", message="The input file was deleted or has expired.", param="input_file_id"
)


class CheckBatch:
    """Reads the whole input file before any of its lines runs."""

    def __init__(
        self,
        *,
        source: BatchInput,
        requests: BatchRequests,
        budgets: BudgetCounters,
        clock: Clock,
        line_bytes: int,
        width: int,
    ) -> None:
        """`width` is how many lines of a batch run at once; a line has at most `line_bytes` bytes."""
        self.source = source
        self.requests = requests
        self.budgets = budgets
        self.clock = clock
        self.line_bytes = line_bytes
        self.width = width

    async def check(self, request: BatchWire) -> BatchCheckedWire:
        """Check a batch that was not checked yet; return where it goes on. One that cannot be checked expires."""
        try:
            batch = await self.source.batches.read(wire.owner_from_wire(request), request["response"])
        except NotFound:
            return NOTHING
        if batch.status is BatchStatus.VALIDATING and batch.outcome is None:
            try:
                batch = await self.conclude(batch, await self.read_lines(batch))
            except Unavailable:
                if self.clock.now() < batch.expires_at:
                    raise
        if batch.status is not BatchStatus.IN_PROGRESS:
            return NOTHING
        open_chunks = await self.source.lines.chunks_at_work(batch)
        chunk = open_chunks[0] if open_chunks else batch.chunks
        return {
            "lines": batch.lines,
            "chunk": chunk,
            "width": self.width,
            "at_once": chunks_at_once(self.width),
        }

    async def refuse_too_dear(self, batch: Batch) -> None:
        """Raise Exhausted where already the first lines of a batch cost more than its budgets can ever cover."""
        found = await self.read_lines(batch, most=LOOKED_AT)
        if reason := await self.too_dear(batch, found.worst_cost):
            raise Exhausted(reason)

    async def read_lines(self, batch: Batch, *, most: float = math.inf) -> CheckedInput:
        """Return what was found in all lines that begin in the first `most` bytes; blank ones do not count."""
        found = CheckedInput()
        try:
            stored = await self.source.file(batch)
            async for start, content in self.source.file_lines.each(batch.owner, stored, limit=self.line_bytes):
                await asyncio.sleep(0)
                found.number += 1
                if start > most:
                    break
                is_blank = content is not None and not content.strip(BLANK)
                if is_blank and found.number < NUMBERS_LIMIT:
                    continue
                if len(found.starts) == LINES_LIMIT or found.number >= NUMBERS_LIMIT:
                    found.report(TOO_MANY, None)
                    return found
                found.starts.append(start)
                found.take(await self.check_line(batch, content, reads_files=most == math.inf))
            found.end = stored.size
        except (NotFound, Unavailable) as error:
            if isinstance(error, Unavailable) and await self.exists(batch):
                raise
            found.report(GONE, None)
        if not found.starts and not found.errors:
            found.report(EMPTY, None)
        return found

    async def check_line(self, batch: Batch, content: bytes | None, *, reads_files: bool) -> CheckedLine | LineMistake:
        if content is None:
            return too_long(self.line_bytes)
        return await self.requests.check(batch, content, reads_files=reads_files)

    async def exists(self, batch: Batch) -> bool:
        try:
            await self.source.files.read(batch.owner, batch.request.input_file)
        except NotFound:
            return False
        return True

    async def conclude(self, batch: Batch, found: CheckedInput) -> Batch:
        """Store what was found; a batch with a mistake, or too dear for its budgets, is to end as failed."""
        if not found.errors and (reason := await self.too_dear(batch, found.worst_cost)):
            found.report(LineMistake(code=wire.BUDGET_EXHAUSTED, message=reason), None)
        if found.errors:
            await self.source.lines.save_errors(batch, found.errors)
        else:
            await self.source.lines.save_index(batch, found.starts, found.end)
        return await self.source.batches.change(batch.owner, batch.id, lambda stored: self.checked(stored, found))

    async def too_dear(self, batch: Batch, worst_cost: Decimal) -> str:
        """Return why no budget can ever cover a batch, even when all comes back that other turns hold."""
        now = self.clock.now()
        counts = await self.budgets.limited_counts(batch.owner, batch.id)
        return exceeded_room(counts, worst_cost, at=now, until=batch.expires_at)

    def checked(self, stored: Batch, found: CheckedInput) -> Batch:
        """Return a batch after its check; one that was cancelled meanwhile stays so."""
        if stored.status is not BatchStatus.VALIDATING:
            return stored
        model = next(iter(found.models)) if len(found.models) == 1 else None
        known = replace_lines(stored, found, model)
        return known if found.errors else known.entered(BatchStatus.IN_PROGRESS, at=self.clock.now())


def replace_lines(stored: Batch, found: CheckedInput, model: str | None) -> Batch:
    outcome = BatchStatus.FAILED if found.errors else None
    lines = 0 if found.errors else len(found.starts)
    return replace(
        stored,
        lines=lines,
        errors=len(found.errors),
        model=model,
        outcome=outcome,
        input_tokens=found.input_tokens // max(lines, 1),
        output_tokens=found.output_tokens // max(lines, 1),
    )


def too_long(limit: int) -> LineMistake:
    message = f"The line has more than {limit:,} bytes. The limit is set with GANGLION_INPUT_LIMIT."
    return LineMistake(code="request_too_large", message=message)

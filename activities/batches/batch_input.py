"""What does a step of a batch read again and again: the batch, its file and one of its lines?"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clients.clock import Clock
from clients.storage.damage import report
from domain.batches.batch import CHUNK_LINES, Batch
from domain.batches.line_ids import chunk_of
from domain.batches.start_time import StartDecision
from domain.errors import DamagedRecord, NotFound, Unavailable
from domain.files.stored_file import StoredFile
from domain.identity.owners import Owner
from state.batches.batch_store import BatchStore
from state.files.file_store import FileStore
from state.files.lines import FileLines

TRUSTED_S: Final = 1.0
"""A process reads a batch again after so many seconds: its lines notice that it was cancelled."""

KEPT: Final = 64
"""So many batches, and so many chunks, are kept in memory."""


class BatchInput:
    """Reads batches and their lines, and remembers what does not change."""

    def __init__(self, batches: BatchStore, files: FileStore, clock: Clock) -> None:
        self.batches = batches
        self.lines = batches.lines
        self.files = files
        self.file_lines = FileLines(files)
        self.clock = clock
        self.known: OrderedDict[str, tuple[float, Batch]] = OrderedDict()
        self.stored: OrderedDict[tuple[str, str], StoredFile] = OrderedDict()
        self.starts: OrderedDict[str, StartDecision] = OrderedDict()
        self.waiting: OrderedDict[tuple[str, int], set[int]] = OrderedDict()
        self.bounds: OrderedDict[tuple[str, int], Sequence[int]] = OrderedDict()

    async def batch(self, owner: Owner, identifier: str) -> Batch:
        """Return a batch as it was at most a second ago; raises NotFound."""
        read_at, found = self.known.get(identifier, (0.0, None))
        if found is None or found.owner != owner or self.clock.now() >= read_at + TRUSTED_S:
            found = await self.fresh_batch(owner, identifier)
        return found

    async def fresh_batch(self, owner: Owner, identifier: str) -> Batch:
        """Return a batch as it is now; raises NotFound."""
        asked_at = self.clock.now()
        found = await self.batches.read(owner, identifier)
        keep(self.known, identifier, (asked_at, found))
        return found

    async def started(self, batch: Batch) -> str:
        """Return the backend that was started for a batch, but none shortly before the batch expires."""
        start = self.starts.get(batch.id)
        if start is None:
            found = await self.batches.starts.read(batch)
            start = found.decision if found else StartDecision(starts=True, reason="", latest_start=0.0)
            keep(self.starts, batch.id, start)
        until = (max(start.latest_start, batch.created_at) + batch.expires_at) / 2
        return start.backend if self.clock.now() < until else ""

    async def may_have_run(self, batch: Batch, line: int) -> bool:
        """Return whether a line is known to have run before; of another process's run its turn will tell."""
        chunk = chunk_of(line)
        if (batch.id, chunk) not in self.waiting:
            keep(self.waiting, (batch.id, chunk), set(await self.lines.begun(batch, chunk)))
        return line in self.waiting[batch.id, chunk]

    async def save_run(self, batch: Batch, line: int, body: Mapping[str, Any]) -> None:
        """Store how far the turn of a line has come."""
        await self.lines.save_run(batch, line, body)
        self.waiting.get((batch.id, chunk_of(line)), set()).add(line)

    async def file(self, batch: Batch) -> StoredFile:
        """Return the input file; raises NotFound."""
        name = (batch.id, batch.request.input_file)
        found = self.stored.get(name)
        if found is None:
            found = await self.files.read(batch.owner, batch.request.input_file)
            keep(self.stored, name, found)
        return found

    async def line(self, batch: Batch, line: int) -> bytes:
        """Return a line without its end; raises NotFound and Unavailable."""
        chunk = chunk_of(line)
        bounds = self.bounds.get((batch.id, chunk))
        if bounds is None:
            bounds = await self.lines.bounds(batch, chunk)
            if not bounds:
                raise Unavailable(f"The lines of {batch.id} are not known.")
            keep(self.bounds, (batch.id, chunk), bounds)
        start, end = bounds[line % CHUNK_LINES], bounds[line % CHUNK_LINES + 1]
        return (await self.file_lines.read(batch.owner, await self.file(batch), start, end)).strip()

    async def line_or_none(self, batch: Batch, line: int) -> bytes | None:
        """Return a line, or None where its file has been erased; raises Unavailable."""
        try:
            return await self.line(batch, line)
        except NotFound:
            return None

    async def known_line(self, batch: Batch, line: int) -> bytes | None:
        """Return a line that has ended; None where its file has been erased, or where it is damaged."""
        try:
            return await self.line_or_none(batch, line)
        except DamagedRecord as damage:
            report(damage)
            return None


def keep[K, V](known: OrderedDict[K, V], name: K, value: V) -> None:
    """Remember a value, and forget the one that was remembered first."""
    known[name] = value
    known.move_to_end(name)
    if len(known) > KEPT:
        known.popitem(last=False)

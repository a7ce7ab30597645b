"""Where are the lines of a batch in its file, which of them have ended, and with what?

All of it is in the batch's own thread. The documents of a line are written in one commit when it ends; a tally adds up
those of a chunk, so that few documents say how far a batch has come.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from copy import replace
from typing import Any

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap, create_once
from clients.storage.damage import read_or_none, readable
from clients.storage.keys import owner_index_key, thread_id, turns_key
from clients.storage.paging import create_missing, list_all, write_batches
from clients.storage.port import Body, Create, Delete, Document, DocumentKey, DocumentStore, Replace
from domain.batches.batch import CHUNK_LINES, Batch
from domain.batches.line_ids import chunk_of, chunk_thread, thread_of_batch
from domain.batches.totals import BatchTotals
from domain.ids import thread_of

ERRORS_OF_A_PAGE = 100
PIECE = 250_000
"""The characters of a row that one document has; few rows have more."""

AHEAD = 8
"""So many chunks after those that have a tally may have lines that have ended."""

ROWS_AT_ONCE = 64
CLEARED = ("chunk_", "done_", "row_", "run_", "tally_")


class LineStore:
    """Stores what a batch knows of its lines. Every method is safe to repeat."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def save_index(self, batch: Batch, starts: Sequence[int], end: int) -> None:
        """Store where each line begins in the file, and make the threads of the turns known to an erasure."""
        bounds = [*starts, end]
        chunks, threads = list[Create](), list[Create]()
        for first in range(0, len(starts), CHUNK_LINES):
            number = chunk_of(first)
            body = {"kind": "batch_chunk", "v": 1, "bounds": bounds[first : first + CHUNK_LINES + 1]}
            chunks.append(Create(id=f"chunk_{number:05d}", body=body))
            entry = {"kind": "thread", "v": 1, "at": batch.created_at}
            threads.append(Create(id=thread_id(chunk_thread(batch.id, number)), body=entry))
        await create_missing(self.store, owner_index_key(batch.owner), threads)
        await create_missing(self.store, lines_key(batch), chunks)

    async def bounds(self, batch: Batch, chunk: int) -> Sequence[int]:
        """Return where the lines of a chunk begin, and where the last one ends."""
        found = await self.store.read(lines_key(batch), f"chunk_{chunk:05d}")
        return tuple(found.body["bounds"]) if found else ()

    async def save_errors(self, batch: Batch, errors: Sequence[Mapping[str, Any]]) -> None:
        pages = [errors[start : start + ERRORS_OF_A_PAGE] for start in range(0, len(errors), ERRORS_OF_A_PAGE)]
        await create_missing(
            self.store,
            lines_key(batch),
            [
                Create(id=f"error_{number:05d}", body={"kind": "batch_errors", "v": 1, "errors": list(page)})
                for number, page in enumerate(pages)
            ],
        )

    async def errors(self, batch: Batch, *, first_page: bool = False) -> Sequence[Mapping[str, Any]]:
        """Return what is wrong with the input: all of it, or the first hundred mistakes."""
        if first_page:
            documents = await self.store.list(lines_key(batch), prefix="error_", limit=1)
        else:
            documents = await list_all(self.store, lines_key(batch), prefix="error_")
        return [error for page in readable(documents, lambda each: each.read_as(errors_of)) for error in page]

    async def end_line(self, batch: Batch, line: int, row: str, totals: BatchTotals) -> None:
        """Record the row of a line for the files of the results, once."""
        key, name = lines_key(batch), line_name(line)
        pieces = [row[start : start + PIECE] for start in range(0, len(row), PIECE)]
        parts = [
            Create(id=f"row_{name}_{number:04d}", body={"kind": "batch_row", "v": 1, "text": piece})
            for number, piece in enumerate(pieces)
        ]
        done = Create(id=f"done_{name}", body={"kind": "batch_line", "v": 1, **totals.to_document()})
        if len(parts) > 1:
            await create_missing(self.store, key, parts)
            parts = []
        if await create_once(self.store, key, *parts, done) or await self.store.read(key, done.id):
            return
        # An earlier run died after it had written parts of another row.
        await self.delete_parts(key, name)
        await self.end_line(batch, line, row, totals)

    async def delete_parts(self, key: DocumentKey, name: str) -> None:
        stale = await list_all(self.store, key, prefix=f"row_{name}_")
        await write_batches(self.store, key, [Delete(id=each.id) for each in stale])

    async def tally(self, batch: Batch, chunk: int) -> int:
        """Add up the lines of a chunk; return how many of them have ended."""
        documents = await self.ended(batch, chunk)
        whole = min(CHUNK_LINES, batch.lines - chunk * CHUNK_LINES)
        if documents and len(documents) == whole:
            total = sum(map(totals_of_line, documents), BatchTotals())
            body = {"kind": "batch_tally", "v": 1, **total.to_document()}
            await create_once(self.store, lines_key(batch), Create(id=f"tally_{chunk:05d}", body=body))
        return len(documents)

    async def ended(self, batch: Batch, chunk: int) -> Sequence[Document]:
        return await self.store.list(lines_key(batch), prefix=f"done_{chunk:05d}_")

    async def totals(self, batch: Batch) -> BatchTotals:
        """Return the totals of all lines that have ended so far."""
        tallies = await list_all(self.store, lines_key(batch), prefix="tally_")
        known = {each.id: totals for each in tallies if (totals := read_or_none(each, totals_of))}
        damaged = [chunk_of_tally(each.id) for each in tallies if each.id not in known]
        totals = sum(known.values(), BatchTotals())
        for chunk in (*damaged, *self.open_chunks(batch, tallies)):
            totals = sum(map(totals_of_line, await self.ended(batch, chunk)), totals)
        return totals

    def open_chunks(self, batch: Batch, tallies: Sequence[Document]) -> Sequence[int]:
        """Return the chunks that may have lines which have ended, and have no tally."""
        tallied = {chunk_of_tally(each.id) for each in tallies}
        return [chunk for chunk in range(batch.chunks) if chunk not in tallied][:AHEAD]

    async def chunks_at_work(self, batch: Batch) -> Sequence[int]:
        return self.open_chunks(batch, await list_all(self.store, lines_key(batch), prefix="tally_"))

    async def rows(self, batch: Batch, chunk: int) -> Mapping[int, tuple[str, BatchTotals]]:
        """Return the rows of a chunk by their lines, with the totals of each; the row of a damaged line is empty."""
        pieces: defaultdict[str, list[str | None]] = defaultdict(list)
        for each in await list_all(self.store, lines_key(batch), prefix=f"row_{chunk:05d}_", size=ROWS_AT_ONCE):
            piece = read_or_none(each, lambda part: part.read_as(piece_of))
            pieces[each.id.removeprefix("row_").rpartition("_")[0]].append(piece)
        return {
            line_of(each.id): whole_row(pieces[each.id.removeprefix("done_")], each)
            for each in await self.ended(batch, chunk)
        }

    async def run(self, batch: Batch, line: int) -> Document | None:
        """Return how far the turn of a line has come, where it has been recorded."""
        return await self.store.read(lines_key(batch), f"run_{line_name(line)}")

    async def begun(self, batch: Batch, chunk: int) -> Sequence[int]:
        """Return the lines of a chunk whose turns have come so far that a run of them is stored."""
        found = await list_all(self.store, lines_key(batch), prefix=f"run_{chunk:05d}_", size=ROWS_AT_ONCE)
        return [line_of(each.id) for each in found]

    async def turns_elsewhere(self, batch: Batch, chunk: int) -> Sequence[str]:
        """Return the turns of lines that continue a response or conversation: these are not in the chunk's thread."""
        found = await list_all(self.store, lines_key(batch), prefix=f"run_{chunk:05d}_", size=ROWS_AT_ONCE)
        turns = readable(found, lambda each: each.read_as(turn_of_run))
        return [each for each in turns if thread_of(each) != chunk_thread(batch.id, chunk)]

    async def save_run(self, batch: Batch, line: int, body: Mapping[str, Any]) -> None:
        key, name = lines_key(batch), f"run_{line_name(line)}"
        whole = {"kind": "batch_run", "v": 1, "at": self.clock.now(), **body}

        async def step() -> None:
            found = await self.store.read(key, name)
            write = Replace(id=name, body=whole, etag=found.etag) if found else Create(id=name, body=whole)
            await self.store.commit(key, (write,))

        await compare_and_swap(self.clock, step)

    async def clear(self, batch: Batch) -> None:
        """Delete everything about the lines of a batch that has ended, but for its mistakes."""
        for prefix in CLEARED:
            async for some in self.pages(batch, prefix):
                await write_batches(self.store, lines_key(batch), [Delete(id=each.id) for each in some])

    async def pages(self, batch: Batch, prefix: str) -> AsyncIterator[Sequence[Document]]:
        while some := await self.store.list(lines_key(batch), prefix=prefix, limit=ROWS_AT_ONCE):
            yield some


def lines_key(batch: Batch) -> DocumentKey:
    return turns_key(batch.owner, thread_of_batch(batch.id) or "")


def line_name(line: int) -> str:
    return f"{chunk_of(line):05d}_{line % CHUNK_LINES:02d}"


def line_of(document_id: str) -> int:
    """Return the line that a document is about."""
    _, chunk, line = document_id.split("_")
    return int(chunk) * CHUNK_LINES + int(line)


def chunk_of_tally(document_id: str) -> int:
    return int(document_id.removeprefix("tally_"))


def whole_row(pieces: Sequence[str | None], done: Document) -> tuple[str, BatchTotals]:
    """Return the row of a line with its totals: the line has failed, without a row, where either is damaged."""
    known = read_or_none(done, totals_of)
    row = "".join(each or "" for each in pieces)
    if known and row and None not in pieces:
        return row, known
    return "", replace(known or BatchTotals(), completed=0, failed=1)


def totals_of_line(document: Document) -> BatchTotals:
    """Return the totals of a line that has ended; it has failed where they are damaged."""
    return read_or_none(document, totals_of) or BatchTotals(failed=1)


def totals_of(document: Document) -> BatchTotals:
    return document.read_as(lambda body: BatchTotals() + BatchTotals.from_document(body))


def piece_of(body: Body) -> str:
    return "" + body["text"]


def turn_of_run(body: Body) -> str:
    return str(body["request"]["response"])


def errors_of(body: Body) -> Sequence[Mapping[str, Any]]:
    return tuple(body["errors"])

"""Which private data does the model of a turn read? Stored once, so that a repeated attempt reads the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from clients.clock import Clock
from clients.storage.compare_and_swap import create_once
from clients.storage.keys import response_key, rows_id, sources_id
from clients.storage.port import Create, DocumentStore
from domain.identity.owners import Owner
from domain.sources.catalog import FetchedRows
from domain.sources.prompt_context import context_text
from domain.turns.response import Response

KEPT_S = 3600
"""How long the rows are kept after the turn's deadline; the report of each source stays with the response."""


class RetrievedContext:
    """Stores a report of what was fetched from each source and, in a second document that expires early, the text."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def source_reports(self, owner: Owner, response_id: str) -> Sequence[Mapping[str, Any]] | None:
        """Return the reports of `FetchedRows.to_document`, one for each source; None where none is stored yet."""
        found = await self.store.read(response_key(owner, response_id), sources_id(response_id))
        return found.body["sources"] if found else None

    async def text(self, response: Response) -> str | None:
        """Return the text that the model reads from its sources; None where nothing is stored yet."""
        key = response_key(response.owner, response.id)
        if await self.store.read(key, sources_id(response.id)) is None:
            return None
        found = await self.store.read(key, rows_id(response.id))
        return found.body["text"] if found else ""

    async def record(self, response: Response, fetched: Sequence[FetchedRows]) -> str:
        """Store what was fetched, once; return the stored text, which may be that of a parallel attempt."""
        now = self.clock.now()
        reports = [each.to_document() for each in fetched]
        text = context_text(fetched, response.token)
        sources = {"kind": "sources", "v": 1, "at": now, "sources": reports}
        rows = {"kind": "rows", "v": 1, "at": now, "text": text}
        documents = (
            Create(id=sources_id(response.id), body=sources),
            Create(id=rows_id(response.id), body=rows, expires_at=expiry_of(response)),
        )
        is_stored = await create_once(self.store, response_key(response.owner, response.id), *documents)
        return text if is_stored else await self.text(response) or ""

    async def text_or_missing(self, response: Response) -> str:
        """Return the stored text; where none is stored, store and return that the sources could not be read."""
        if not response.options.sources:
            return ""
        text = await self.text(response)
        if text is not None:
            return text
        missing = [
            FetchedRows(source=name, problem="it could not be read in time") for name in response.options.sources
        ]
        return await self.record(response, missing)


def expiry_of(response: Response) -> float:
    """Return until when the rows are kept: the deadline moves with the time that the turn waits for approvals."""
    return response.latest_deadline_at + KEPT_S

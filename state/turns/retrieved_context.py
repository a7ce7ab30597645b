"""What private data was a turn given? Decided once, so that a repeated attempt reads the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from clients.clock import Clock
from clients.storage.keys import response_key, rows_id, sources_id
from clients.storage.port import Create, DocumentStore
from domain.errors import Conflict
from domain.identity.owners import Owner
from domain.sources.catalog import FetchedRows
from domain.sources.prompt_context import context_text
from domain.turns.response import Response

KEPT_S = 3600
"""How long the rows are kept after the deadline of their turn; what is told of them stays with the response."""


class RetrievedContext:
    """The store of what was fetched: its account, and (in a document of its own, which goes early) its text."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def source_reports(self, owner: Owner, response_id: str) -> Sequence[Mapping[str, Any]] | None:
        """Return what is told of each source, as `Fetched.to_document`; None where nothing is decided yet."""
        found = await self.store.read(response_key(owner, response_id), sources_id(response_id))
        return found.body["sources"] if found else None

    async def text(self, response: Response) -> str | None:
        """Return what the model is to read of its sources; None where nothing is decided yet."""
        key = response_key(response.owner, response.id)
        if await self.store.read(key, sources_id(response.id)) is None:
            return None
        found = await self.store.read(key, rows_id(response.id))
        return found.body["text"] if found else ""

    async def record(self, response: Response, fetched: Sequence[FetchedRows]) -> str:
        """Record what was fetched, once; return the text by which the turn goes, which may be somebody else's."""
        now = self.clock.now()
        told = [each.to_document() for each in fetched]
        text = context_text(fetched, response.token)
        account = {"kind": "sources", "v": 1, "at": now, "sources": told}
        rows = {"kind": "rows", "v": 1, "at": now, "text": text}
        operations = (
            Create(id=sources_id(response.id), body=account),
            Create(id=rows_id(response.id), body=rows, expires_at=response.deadline_at + KEPT_S),
        )
        try:
            await self.store.commit(response_key(response.owner, response.id), operations)
        except Conflict:
            return await self.text(response) or ""
        return text

    async def text_or_missing(self, response: Response) -> str:
        """Return the text by which the turn goes; where nobody came to one, that its sources were not read."""
        if not response.options.sources:
            return ""
        text = await self.text(response)
        if text is not None:
            return text
        lost = [FetchedRows(source=name, problem="it could not be read in time") for name in response.options.sources]
        return await self.record(response, lost)

"""How are several sources read in parallel, so that a slow or failing one does not affect the others?"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from clients.clock import Clock
from clients.sources.port import SourceConnector, SourceError
from domain.identity.owners import Owner
from domain.sources.catalog import FetchedRows, Source, SourceKind, Sources, query_for
from domain.sources.prompt_context import rows_within_limits

MANY_ROWS: Final = 1000
"""More rows are measured in a thread: they would hold up every other turn of the process."""


class SourceReader:
    """Reads sources by name, each within its own deadline and token budget."""

    def __init__(self, sources: Sources, connectors: Mapping[SourceKind, SourceConnector], clock: Clock) -> None:
        self.sources = sources
        self.connectors = connectors
        self.clock = clock

    async def read(self, names: Sequence[str], owner: Owner, text: str) -> tuple[FetchedRows, ...]:
        """Return the rows or the problem of each source. Only keywords from `text` reach a query, never the text."""
        return tuple(await asyncio.gather(*(self.read_one(name, owner, text) for name in names)))

    async def read_one(self, name: str, owner: Owner, text: str) -> FetchedRows:
        started = self.clock.now()
        try:
            fetched = await self.fetch(name, owner, text)
        except SourceError as error:
            return FetchedRows(source=name, problem=str(error), seconds=self.clock.now() - started)
        except TimeoutError:
            return FetchedRows(source=name, problem="it did not answer in time", seconds=self.clock.now() - started)
        return FetchedRows(
            source=name, rows=fetched.rows, left_out=fetched.left_out, seconds=self.clock.now() - started
        )

    async def fetch(self, name: str, owner: Owner, text: str) -> FetchedRows:
        source = self.permitted_source(name, owner)
        query = query_for(source, owner, text)
        if isinstance(query, str):
            raise SourceError(query)
        async with asyncio.timeout(source.deadline_s):
            rows = await self.connectors[source.kind].rows(source, query)
        try:
            measure = partial(rows_within_limits, name, rows, max_rows=source.max_rows, max_tokens=source.max_tokens)
            kept = await asyncio.to_thread(measure) if len(rows) > MANY_ROWS else measure()
        except RecursionError:
            raise SourceError("its rows are nested too deeply") from None
        return FetchedRows(source=name, rows=kept, left_out=len(rows) - len(kept))

    def permitted_source(self, name: str, owner: Owner) -> Source:
        """Return a source that the owner may use. It may have been removed since the turn was admitted."""
        source = self.sources.known.get(name)
        if source is None or not source.is_open_to(owner):
            raise SourceError("it is no longer configured for this caller")
        return source

"""How are several sources read at once, so that one that fails or dawdles spoils nothing?"""

import asyncio
from collections.abc import Mapping, Sequence

from clients.clock import Clock
from clients.sources.port import SourceConnector, SourceError
from domain.identity.owners import Owner
from domain.sources.catalog import FetchedRows, Source, SourceKind, Sources, query_for
from domain.sources.prompt_context import rows_within_limits


class SourceReader:
    """Reads sources by their names, each within its own deadline and its own budget of tokens."""

    def __init__(self, sources: Sources, connectors: Mapping[SourceKind, SourceConnector], clock: Clock) -> None:
        self.sources = sources
        self.connectors = connectors
        self.clock = clock

    async def read(self, names: Sequence[str], owner: Owner, text: str) -> tuple[FetchedRows, ...]:
        """Return what each source gave; of `text`, only declared keywords reach a query."""
        return tuple(await asyncio.gather(*(self.one(name, owner, text) for name in names)))

    async def one(self, name: str, owner: Owner, text: str) -> FetchedRows:
        started = self.clock.now()
        try:
            fetched = await self.fetched(name, owner, text)
        except SourceError as error:
            return FetchedRows(source=name, problem=str(error), seconds=self.clock.now() - started)
        except TimeoutError:
            return FetchedRows(source=name, problem="it did not answer in time", seconds=self.clock.now() - started)
        return FetchedRows(
            source=name, rows=fetched.rows, left_out=fetched.left_out, seconds=self.clock.now() - started
        )

    async def fetched(self, name: str, owner: Owner, text: str) -> FetchedRows:
        source = self.open_source(name, owner)
        ask = query_for(source, owner, text)
        if isinstance(ask, str):
            raise SourceError(ask)
        async with asyncio.timeout(source.deadline_s):
            rows = await self.connectors[source.kind].rows(source, ask)
        try:
            kept = rows_within_limits(name, rows, max_rows=source.max_rows, max_tokens=source.max_tokens)
        except RecursionError:
            raise SourceError("its rows are nested too deep") from None
        return FetchedRows(source=name, rows=kept, left_out=len(rows) - len(kept))

    def open_source(self, name: str, owner: Owner) -> Source:
        """Return a source; it may have left the configuration since the turn was admitted."""
        source = self.sources.known.get(name)
        if source is None or not source.is_open_to(owner):
            raise SourceError("there is no such source any more")
        return source

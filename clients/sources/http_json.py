"""How do we ask a service of our own that answers in JSON?

GET address/path?name=value: the names and what they stand for are the configuration's.
"""

from collections.abc import Iterator, Sequence

from clients.sources.egress import PinnedClient, bearer
from clients.sources.port import Row, SourceTokens, rows_in
from domain.sources.catalog import Source, SourceQuery


class HttpJson:
    """Reads the rows of one GET."""

    def __init__(self, caller: PinnedClient, tokens: SourceTokens) -> None:
        self.caller = caller
        self.tokens = tokens

    async def rows(self, source: Source, ask: SourceQuery) -> Sequence[Row]:
        headers = await bearer(self.tokens, source.scope)
        data = await self.caller.call(source, "GET", source.path, query=tuple(pairs(source, ask)), headers=headers)
        return rows_in(data, source.rows)


def pairs(source: Source, ask: SourceQuery) -> Iterator[tuple[str, str]]:
    for name, value in ask.parameters.items():
        for each in (value,) if isinstance(value, str) else value:
            yield name, each
    if source.keywords:
        yield source.keywords_as, " ".join(ask.keywords)

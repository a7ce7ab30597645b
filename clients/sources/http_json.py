"""How are rows read from an HTTP service that answers in JSON?

GET address/path?name=value. The configuration defines the names and which claim each value is.
"""

from collections.abc import Iterator, Sequence

from clients.sources.egress import PinnedClient, authorization_headers
from clients.sources.port import Row, SourceTokens, rows_in
from domain.sources.catalog import Source, SourceQuery


class HttpJson:
    """Reads the rows of one GET request."""

    def __init__(self, client: PinnedClient, tokens: SourceTokens) -> None:
        self.client = client
        self.tokens = tokens

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Row]:
        headers = await authorization_headers(self.tokens, source.scope)
        data = await self.client.call(
            source, "GET", source.path, query=tuple(query_parameters(source, query)), headers=headers
        )
        return rows_in(data, source.rows)


def query_parameters(source: Source, query: SourceQuery) -> Iterator[tuple[str, str]]:
    for name, value in query.parameters.items():
        for each in (value,) if isinstance(value, str) else value:
            yield name, each
    if source.keywords:
        yield source.keywords_as, " ".join(query.keywords)

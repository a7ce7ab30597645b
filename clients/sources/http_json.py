"""How do we ask a service of our own that answers in JSON?

GET address/path?name=value: the names and what they stand for are the configuration's.
"""

from collections.abc import Iterator, Sequence

from clients.sources.egress import Caller, bearer
from clients.sources.port import Row, Tokens, rows_in
from domain.sources.catalog import Ask, Source


class HttpJson:
    """Reads the rows of one GET."""

    def __init__(self, caller: Caller, tokens: Tokens) -> None:
        self.caller = caller
        self.tokens = tokens

    async def rows(self, source: Source, ask: Ask) -> Sequence[Row]:
        headers = await bearer(self.tokens, source.scope)
        data = await self.caller.call(source, "GET", source.path, query=tuple(pairs(source, ask)), headers=headers)
        return rows_in(data, source.rows)


def pairs(source: Source, ask: Ask) -> Iterator[tuple[str, str]]:
    for name, value in ask.parameters.items():
        for each in (value,) if isinstance(value, str) else value:
            yield name, each
    if source.keywords:
        yield source.keywords_as, " ".join(ask.keywords)

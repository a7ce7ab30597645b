"""Which interface does every connector to private data provide, and how are its rows read?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from domain.sources.catalog import Source, SourceQuery

type Row = Mapping[str, Any]

MAX_ANSWER_BYTES = 1_000_000


class SourceError(Exception):
    """A source returned no rows. The message is safe to show to callers: it contains nothing of the answer."""


class SourceConnector(Protocol):
    """Reads one kind of source."""

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Row]:
        """Return rows: one more than `max_rows` where there are more. Raises SourceError."""
        ...


class SourceTokens(Protocol):
    """Provides access tokens for sources."""

    async def token(self, scope: str) -> str:
        """Return a bearer token for a scope. Raises SourceError."""
        ...


def rows_in(data: bytes, path: Sequence[str]) -> Sequence[Row]:
    """Return the objects in the list at a path of names in a JSON answer. Raises SourceError."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise SourceError("its answer is not JSON") from None
    for name in path:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise SourceError("its answer has no list of rows at the configured path")
    return [cast("Row", row) for row in cast("list[Any]", found) if isinstance(row, dict)]

"""What must a source of private data be able to do?"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from domain.sources.catalog import Source, SourceQuery

type Row = Mapping[str, Any]

ANSWER_LIMIT = 1_000_000
"""Bytes of a source's answer."""


class SourceError(Exception):
    """A source gave no rows. The message may be shown: it holds nothing of the answer."""


class SourceConnector(Protocol):
    """Reads one kind of source."""

    async def rows(self, source: Source, ask: SourceQuery) -> Sequence[Row]:
        """Return rows, at most a few more than the source's `max_rows`. Raises SourceError."""
        ...


class SourceTokens(Protocol):
    """Proves who we are to a source."""

    async def token(self, scope: str) -> str:
        """Return a bearer token for a scope; raises SourceError."""
        ...


def rows_in(data: bytes, path: Sequence[str]) -> Sequence[Row]:
    """Return the objects that an answer in JSON lists under a path of names; raises SourceError."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise SourceError("its answer is no JSON") from None
    for name in path:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    if not isinstance(found, list):
        raise SourceError("its answer holds no list of rows")
    return [cast("Row", row) for row in cast("list[Any]", found) if isinstance(row, dict)]

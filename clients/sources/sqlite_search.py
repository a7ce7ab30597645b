"""How is a file of documents on this machine searched? By SQLite's full-text index, FTS5."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from clients.sources.port import Row, SourceError
from domain.sources.catalog import Source, SourceQuery


class SqliteSearch:
    """Reads the rows of an FTS5 table that match a keyword and the caller's claims, best match first, read-only."""

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Row]:
        return await asyncio.to_thread(search, source, query)


def search(source: Source, query: SourceQuery) -> Sequence[Row]:
    if source.keywords and not query.keywords:
        return ()
    statement, values = statement_of(source, query)
    address = f"{Path(source.path).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=source.deadline_s)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]
    except sqlite3.Error as error:
        raise SourceError(f"the search failed ({type(error).__name__})") from None


def statement_of(source: Source, query: SourceQuery) -> tuple[str, Sequence[object]]:
    """Return the statement and its values. Names come from the configuration; everything else is a bound value."""
    (table,) = source.target
    columns = ", ".join(f'"{name}"' for name in source.fields) or "*"
    filters = tuple(conditions(table, query))
    where = " AND ".join(text for text, _ in filters) or "1"
    order = "ORDER BY rank" if query.keywords else "ORDER BY rowid"
    statement = f'SELECT {columns} FROM "{table}" WHERE {where} {order} LIMIT ?'  # noqa: S608 - names from the configuration, which only allows plain identifiers
    return statement, [*(value for _, values in filters for value in values), source.max_rows + 1]


def conditions(table: str, query: SourceQuery) -> Iterator[tuple[str, Sequence[str]]]:
    if query.keywords:
        yield f'"{table}" MATCH ?', (" OR ".join(f'"{word}"' for word in query.keywords),)
    for name, value in query.parameters.items():
        values = (value,) if isinstance(value, str) else value
        yield f'"{name}" IN ({", ".join("?" * len(values))})', values

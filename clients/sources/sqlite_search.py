"""How do we search a file of documents on this machine? By SQLite's full text index, FTS5."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from clients.sources.port import Row, SourceError
from domain.sources.catalog import Source, SourceQuery


class SqliteSearch:
    """Reads the rows of an FTS5 table that match a keyword and the caller's claims, best first. Opens read-only."""

    async def rows(self, source: Source, ask: SourceQuery) -> Sequence[Row]:
        return await asyncio.to_thread(search, source, ask)


def search(source: Source, ask: SourceQuery) -> Sequence[Row]:
    if source.keywords and not ask.keywords:
        return ()
    statement, values = statement_of(source, ask)
    address = f"{Path(source.path).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=source.deadline_s)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]
    except sqlite3.Error as error:
        raise SourceError(f"it can't be searched ({type(error).__name__})") from None


def statement_of(source: Source, ask: SourceQuery) -> tuple[str, Sequence[object]]:
    """Return the statement and its values: names are the configuration's, everything else is a value."""
    (table,) = source.target
    chosen = ", ".join(f'"{name}"' for name in source.fields) or "*"
    found = tuple(conditions(table, ask))
    where = " AND ".join(text for text, _ in found) or "1"
    order = "ORDER BY rank" if ask.keywords else "ORDER BY rowid"
    statement = f'SELECT {chosen} FROM "{table}" WHERE {where} {order} LIMIT ?'  # noqa: S608 - names of the configuration, plain by its rules
    return statement, [*(value for _, values in found for value in values), source.max_rows + 1]


def conditions(table: str, ask: SourceQuery) -> Iterator[tuple[str, Sequence[str]]]:
    if ask.keywords:
        yield f'"{table}" MATCH ?', (" OR ".join(f'"{word}"' for word in ask.keywords),)
    for name, value in ask.parameters.items():
        values = (value,) if isinstance(value, str) else value
        yield f'"{name}" IN ({", ".join("?" * len(values))})', values

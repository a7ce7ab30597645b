"""How is the SQLite file opened, and which errors of the port do its failures become?"""

import sqlite3
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clients.storage.sqlite.documents import SCHEMA, TABLES
from domain.errors import GanglionError, Terminal, Unavailable, UnknownOutcome

BUSY_S = 5.0
CACHE_KIB = 8192
"""So much of the file stays in memory: a large image is read soon after it was written."""

SWITCH_DELAYS_S = (0.01, 0.02, 0.05, 0.1, 0.2)
DAMAGED = "the file of the store is damaged; replace it by a backup"
FAILURES = {
    sqlite3.SQLITE_BUSY: "the store is busy with another process",
    sqlite3.SQLITE_LOCKED: "the store is busy with another process",
    sqlite3.SQLITE_FULL: "the disk of the store is full",
    sqlite3.SQLITE_IOERR: "the disk of the store failed",
    sqlite3.SQLITE_CANTOPEN: "the file of the store cannot be opened",
    sqlite3.SQLITE_READONLY: "the file of the store cannot be written",
    sqlite3.SQLITE_PROTOCOL: "the store is busy with another process",
    sqlite3.SQLITE_SCHEMA: "another process changed the store",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}


def open_connection(path: Path) -> sqlite3.Connection:
    """Return a connection for the calling thread; a new file is readable by its user alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    with ExitStack() as failing:
        failing.callback(connection.close)
        prepare(connection)
        failing.pop_all()
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    enable_write_ahead_log(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.executescript(TABLES)
    elif version != SCHEMA:
        raise Terminal(f"the file of the store has format {version}; this release reads format {SCHEMA}")


def enable_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; where two processes do it at once, SQLite rejects one without waiting."""
    for delay_s in (*SWITCH_DELAYS_S, None):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if delay_s is None or primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(delay_s)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Commit all of the block or nothing. A disk that fails during the commit leaves the outcome unknown."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        commit(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def commit(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if primary_code(error) == sqlite3.SQLITE_IOERR:
            raise UnknownOutcome("the disk of the store failed while it wrote") from error
        raise


def overwrite_deleted(connection: sqlite3.Connection) -> None:
    """Empty the write-ahead log, which still holds what was deleted; where a reader uses it, a later call does."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's result code without its details."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


@contextmanager
def translated_errors() -> Generator[None]:
    """Raise failures of the file as errors of the port."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error) from error
    except OSError as error:
        raise Unavailable(FAILURES[sqlite3.SQLITE_CANTOPEN]) from error


def store_error(error: sqlite3.Error) -> GanglionError:
    message = FAILURES.get(primary_code(error))
    return Unavailable(message) if message else Terminal(f"the store failed: {error}")

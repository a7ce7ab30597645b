"""How is the file of the store opened, when is a transaction kept, and what do its failures become?"""

import sqlite3
import stat
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from clients.storage.sqlite.connection import (
    open_connection,
    overwrite_deleted,
    primary_code,
    store_error,
    transaction,
    translated_errors,
)
from clients.storage.sqlite.documents import SCHEMA
from domain.errors import GanglionError, Terminal, Unavailable
from tests.checks import every

INSERT = "INSERT INTO documents (container, partition, id, body, etag) VALUES ('c', 'p', ?, ?, 1)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "app.db"


@pytest.fixture
def connection(path: Path) -> Generator[sqlite3.Connection]:
    with closing(open_connection(path)) as made:
        yield made


def ids(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT id FROM documents ORDER BY id")]


def coded_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("as SQLite words it")
    error.sqlite_errorcode = code
    return error


def test_a_new_file_is_for_its_user_alone_and_has_the_format_of_this_release(path: Path) -> None:
    with closing(open_connection(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert ids(connection) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_opened_again_keeps_its_documents_and_its_mode(path: Path) -> None:
    with closing(open_connection(path)) as connection:
        connection.execute(INSERT, ("one", b"{}"))
    path.chmod(0o640)
    with closing(open_connection(path)) as connection:
        assert ids(connection) == ["one"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_of_a_newer_format_is_closed_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Terminal, match="has format 99; this release reads format 1"):
        open_connection(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(Unavailable, match="is damaged"), translated_errors():
        open_connection(path)
    assert path.read_bytes() == b"no database" * 1000


def test_threads_that_open_no_file_together_all_get_a_connection(tmp_path: Path) -> None:
    def opens(path: Path) -> str:
        gate.wait()
        with closing(open_connection(path)) as connection:
            return connection.execute("PRAGMA journal_mode").fetchone()[0]

    gate = threading.Barrier(8)
    with ThreadPoolExecutor(8) as threads:
        for number in range(20):
            assert list(threads.map(opens, [tmp_path / f"{number}.db"] * 8)) == ["wal"] * 8


def test_a_transaction_is_kept_whole_or_not_at_all(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        connection.execute(INSERT, ("one", b"{}"))
    with pytest.raises(sqlite3.IntegrityError), transaction(connection):
        connection.executemany(INSERT, (("two", b"{}"), ("one", b"{}")))
    assert ids(connection) == ["one"]
    with transaction(connection):
        connection.execute(INSERT, ("three", b"{}"))
    assert ids(connection) == ["one", "three"]


def test_what_was_deleted_is_in_no_file_after_it_was_overwritten(connection: sqlite3.Connection, path: Path) -> None:
    secret = b'{"text": "heron"}'
    connection.execute(INSERT, ("one", secret))
    connection.execute("DELETE FROM documents")
    assert b"heron" in path.with_name("app.db-wal").read_bytes()
    overwrite_deleted(connection)
    assert every(b"heron" not in file.read_bytes() for file in path.parent.iterdir())


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (sqlite3.SQLITE_BUSY, Unavailable, "busy with another process"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable, "busy with another process"),
        (sqlite3.SQLITE_LOCKED_SHAREDCACHE, Unavailable, "busy with another process"),
        (sqlite3.SQLITE_FULL, Unavailable, "the disk of the store is full"),
        (sqlite3.SQLITE_IOERR_FSYNC, Unavailable, "the disk of the store failed"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, Unavailable, "cannot be written"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, Unavailable, "cannot be opened"),
        (sqlite3.SQLITE_CORRUPT_INDEX, Unavailable, "is damaged"),
        (sqlite3.SQLITE_NOTADB, Unavailable, "is damaged"),
        (sqlite3.SQLITE_MISUSE, Terminal, "the store failed: as SQLite words it"),
        (sqlite3.SQLITE_CONSTRAINT_NOTNULL, Terminal, "the store failed"),
    ],
)
def test_a_failure_of_the_file_says_whether_it_may_pass(code: int, kind: type[GanglionError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught, translated_errors():
        raise coded_error(code)
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_an_error_of_the_module_itself_has_no_code_of_sqlite() -> None:
    error = sqlite3.ProgrammingError("Cannot operate on a closed database.")
    assert isinstance(store_error(error), Terminal)
    assert primary_code(coded_error(sqlite3.SQLITE_IOERR_WRITE)) == sqlite3.SQLITE_IOERR


def test_a_folder_that_cannot_be_made_is_unavailable(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="cannot be opened"), translated_errors():
        open_connection(path)

"""Which file, schema, connection and thread does the engine's storage use?

One SQLite file in write-ahead mode, one thread, one connection. A killed process loses no committed data.
"""

import asyncio
import contextlib
import itertools
import queue
import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devhost.engine.model.instances import TaskHubUnavailableError
from devhost.engine.storage.outage import StorageOutage, call

SCHEMA_VERSION = 1
PRIVATE = 0o600
CACHE_KIB = 64 * 1024
SCHEMA = """
CREATE TABLE IF NOT EXISTS instances (
    id TEXT PRIMARY KEY, execution TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL, version TEXT, input TEXT, output TEXT,
    custom_status TEXT, trace TEXT, parent TEXT
);
CREATE INDEX IF NOT EXISTS instances_by_creation ON instances (created, id);
CREATE INDEX IF NOT EXISTS instances_by_status ON instances (status, created, id);
CREATE TABLE IF NOT EXISTS history (
    instance TEXT NOT NULL, seq INTEGER NOT NULL, event TEXT NOT NULL, PRIMARY KEY (instance, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, instance TEXT NOT NULL, execution TEXT, event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS inbox_by_instance ON inbox (instance);
CREATE TABLE IF NOT EXISTS work (
    row INTEGER PRIMARY KEY AUTOINCREMENT, instance TEXT NOT NULL, execution TEXT NOT NULL, task INTEGER NOT NULL,
    name TEXT NOT NULL, input TEXT NOT NULL, trace TEXT, redeliveries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS work_by_instance ON work (instance);
CREATE TABLE IF NOT EXISTS timers (
    instance TEXT NOT NULL, execution TEXT NOT NULL, task INTEGER NOT NULL, fire_at REAL NOT NULL,
    PRIMARY KEY (instance, execution, task)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (id TEXT PRIMARY KEY, state TEXT NOT NULL, updated REAL NOT NULL);
CREATE TABLE IF NOT EXISTS operations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT NOT NULL, name TEXT NOT NULL, input TEXT, parent TEXT
);
CREATE INDEX IF NOT EXISTS operations_by_entity ON operations (entity);
CREATE TABLE IF NOT EXISTS later (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT NOT NULL, name TEXT NOT NULL, input TEXT, due REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS losses (id TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS schedules (
    function TEXT PRIMARY KEY, last REAL, next REAL NOT NULL, updated REAL NOT NULL
);
"""


class DatabaseVersionError(Exception):
    """The file was written by an incompatible version of this program."""


def make_private(path: Path) -> None:
    """Inputs and outputs of orchestrations are in the file; SQLite gives its log the mode of the file."""
    path.touch(mode=PRIVATE)
    for file in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        if file.exists() and stat.S_IMODE(file.stat().st_mode) != PRIVATE:
            file.chmod(PRIVATE)


def connect[C: sqlite3.Connection](path: Path, kind: type[C] = sqlite3.Connection) -> C:
    """Only the file's owner can read it. Raises DatabaseVersionError, or sqlite3.Error if the file can't be used."""
    make_private(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=kind)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in {0, SCHEMA_VERSION}:
        connection.close()
        raise DatabaseVersionError(
            f"{path} has schema version {found}, but this program needs {SCHEMA_VERSION}: move the file away"
        )
    connection.executescript(SCHEMA)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    return connection


RETRY_DELAYS_S = (0.05, 0.1, 0.2, 0.5, 1.0)
type StorageJob = tuple[Callable[[], Any], asyncio.Future[Any]]


class StorageThread:
    """Runs database calls one at a time, outside the event loop. `retry_delays_s` ends with the longest delay."""

    def __init__(self, loop: asyncio.AbstractEventLoop, retry_delays_s: tuple[float, ...] = RETRY_DELAYS_S) -> None:
        self.loop = loop
        self.retry_delays_s = retry_delays_s
        self.outage = StorageOutage()
        self.jobs: queue.SimpleQueue[StorageJob | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.run_jobs, name="storage", daemon=True)

    def start(self) -> None:
        self.thread.start()

    async def run[**P, T](self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises TaskHubUnavailableError while the database fails, and what the step raises."""
        result: asyncio.Future[T] = self.loop.create_future()
        self.jobs.put((lambda: call(lambda: step(*args, **kwargs)), result))
        return await result

    async def persist[**P, T](self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Repeats a step until the database takes it, because no other code would. Raises errors that do not pass.

        A step that raised has changed nothing: it is one transaction, or changes nothing when it is repeated.
        """
        try:
            return await self.run(step, *args, **kwargs)
        except TaskHubUnavailableError as error:
            failure = error
        with self.outage.wait(failure):
            return await self.repeat(step, *args, **kwargs)

    async def repeat[**P, T](self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        for delay in itertools.chain(self.retry_delays_s, itertools.repeat(self.retry_delays_s[-1])):
            await asyncio.sleep(delay)
            with contextlib.suppress(TaskHubUnavailableError):
                return await self.run(step, *args, **kwargs)
        raise AssertionError("the delays never end")

    def run_jobs(self) -> None:
        while (job := self.jobs.get()) is not None:
            step, result = job
            try:
                value = step()
            except Exception as error:  # noqa: BLE001 - this thread's entry point hands every failure to its caller
                self.loop.call_soon_threadsafe(set_exception, result, error)
            else:
                self.loop.call_soon_threadsafe(set_result, result, value)

    def stop(self) -> None:
        self.jobs.put(None)
        self.thread.join()


def set_result(result: asyncio.Future[Any], value: object) -> None:
    """The caller may have been cancelled meanwhile."""
    if not result.done():
        result.set_result(value)


def set_exception(result: asyncio.Future[Any], error: Exception) -> None:
    if not result.done():
        result.set_exception(error)

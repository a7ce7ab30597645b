"""How are documents stored in one SQLite file?

Several processes may use the file, so nothing is cached. A commit is in the file when it returns and survives the
process; a loss of power may undo the last commits, each as a whole (synchronous=NORMAL).
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from clients.clock import Clock
from clients.storage.port import Container, Delete, Document, DocumentKey, FoundDocument, Operation
from clients.storage.sqlite import documents as sqlite_documents
from clients.storage.sqlite.connection import open_connection, overwrite_deleted, transaction, translated_errors
from clients.storage.sqlite.executor import BatchingExecutor
from clients.storage.sqlite.log_damage import lost_transactions
from clients.storage.validation import check_identifier, check_key, check_range, payloads
from domain.errors import Retryable, Unavailable

logger = logging.getLogger("ganglion.store")

RESTORE = "Restore a backup of the folder if you need them; earlier transactions are intact."
FORGET_S = 60
FORGET_LIMIT = 200


class SqliteStore:
    """The store in one file. Its thread and its connection start at first use and end with `close`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock
        self.executor = BatchingExecutor("sqlite")
        self.connection: sqlite3.Connection | None = None
        self.forget_at = 0.0
        self.opened = False
        self.closed = False

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        check_key(key)
        check_identifier(identifier)
        values = self.partition_values(key) | {"id": identifier}
        found = await self.on_thread(lambda connection: sqlite_documents.read(connection, values))
        return found[0] if found else None

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        check_key(key)
        check_range(prefix, after)
        values = self.partition_values(key) | {"prefix": prefix, "after": after, "limit": max(limit, 0)}
        return await self.on_thread(lambda connection: sqlite_documents.list_range(connection, values))

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        return await self.on_thread(partial(self.write, key, tuple(operations), self.clock.now()))

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        values = {"kind": kind, "status": status, "before": before, "limit": max(limit, 0), "now": self.clock.now()}
        return await self.on_thread(lambda connection: sqlite_documents.find(connection, container, values))

    async def close(self) -> None:
        """Close the file after the earlier calls; every later call raises Unavailable."""
        if not self.closed:
            self.closed = True
            await self.executor.submit(self.disconnect)
            self.executor.close()

    def partition_values(self, key: DocumentKey) -> sqlite_documents.Values:
        return sqlite_documents.partition_values(key, self.clock.now())

    async def on_thread[T](self, action: Callable[[sqlite3.Connection], T]) -> T:
        if self.closed:
            raise Unavailable("the store is closed")
        return await self.executor.submit(partial(self.connected, action))

    def connect(self) -> sqlite3.Connection:
        """Open the file. At the first time, report transactions that a damaged write-ahead log has lost."""
        if not self.opened:
            damage = lost_transactions(self.path.with_name(f"{self.path.name}-wal"))
            if damage:
                logger.error("The write-ahead log of %s lost transactions: %s. %s", self.path, damage, RESTORE)
        self.opened = True
        return open_connection(self.path)

    def connected[T](self, action: Callable[[sqlite3.Connection], T]) -> T:
        """Run an action on the connection; after a failure the next call opens a new one."""
        try:
            with translated_errors():
                self.connection = self.connection or self.connect()
                return action(self.connection)
        except Retryable:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        if self.connection:
            self.connection.close()
            self.connection = None

    def write(
        self, key: DocumentKey, operations: Sequence[Operation], now: float, connection: sqlite3.Connection
    ) -> Sequence[str]:
        bodies = payloads(key, operations)
        where = sqlite_documents.partition_values(key, now)
        with transaction(connection):
            etags = sqlite_documents.reserve_etags(connection, len(operations))
            for operation, data, etag in zip(operations, bodies, etags, strict=True):
                sqlite_documents.write(connection, where | {"next": etag}, operation, data)
            self.delete_expired_sometimes(connection, now)
        if key.container is Container.TURNS and any(isinstance(operation, Delete) for operation in operations):
            overwrite_deleted(connection)
        return [str(etag) for etag in etags]

    def delete_expired_sometimes(self, connection: sqlite3.Connection, now: float) -> None:
        if now >= self.forget_at:
            found = sqlite_documents.delete_expired(connection, now, FORGET_LIMIT)
            self.forget_at = now + (FORGET_S if found < FORGET_LIMIT else 0)

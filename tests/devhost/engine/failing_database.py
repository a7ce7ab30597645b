"""How does a test let statements of the host's own database fail, like a full disk, a bad disk or another's lock?"""

import sqlite3
from collections.abc import Callable
from typing import Any, override

CODES = {
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_IOERR_WRITE: "disk I/O error",
    sqlite3.SQLITE_BUSY: "database is locked",
}
ENDING_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}
"""SQLite may roll the transaction back by itself after these."""

type Fault = tuple[int, bool]
"""A code, and whether SQLite has rolled the transaction back."""


def database_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(CODES[code])
    error.sqlite_errorcode = code
    return error


def no_fault() -> Fault | None:
    return None


class FailingConnection(sqlite3.Connection):
    """Asks `next_fault` before every statement whether it fails. `injected` counts the faults by their message."""

    next_fault: Callable[[], Fault | None] = staticmethod(no_fault)
    injected: dict[str, int]

    @override
    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self.fail()
        return super().execute(statement, *values)

    @override
    def executemany(self, statement: str, values: Any) -> sqlite3.Cursor:
        self.fail()
        return super().executemany(statement, values)

    def fail(self) -> None:
        fault = self.next_fault()
        if fault is None:
            return
        code, ended = fault
        if ended and code in ENDING_CODES and self.in_transaction:
            super().execute("ROLLBACK")
        self.injected[CODES[code]] = self.injected.get(CODES[code], 0) + 1
        raise database_error(code)


def arm(connection: FailingConnection, next_fault: Callable[[], Fault | None]) -> None:
    connection.injected = {}
    connection.next_fault = next_fault

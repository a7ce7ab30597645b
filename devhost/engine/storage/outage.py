"""Which errors of the database pass by themselves, and since when do steps wait for it?

SQLite reports a full disk, a failing disk or a lock of another process as an error of one statement. The same step
succeeds when the cause is gone. Source of the codes: https://www.sqlite.org/rescode.html.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Generator

from devhost.clock import now
from devhost.console import log_line
from devhost.engine.model.instances import TaskHubUnavailableError

PRIMARY_CODE = 0xFF
TRANSIENT_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def is_transient(error: BaseException) -> bool:
    """True if the same step may succeed later. A corrupt file and a defect of this program are no such errors."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and isinstance(code, int) and code & PRIMARY_CODE in TRANSIENT_CODES


def call[T](step: Callable[[], T]) -> T:
    """Raises TaskHubUnavailableError for an error that passes by itself."""
    try:
        return step()
    except sqlite3.Error as error:
        if is_transient(error):
            raise TaskHubUnavailableError(str(error)) from error
        raise


class StorageOutage:
    """Counts the steps that wait for the database. `reason` is SQLite's message while there are any."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.waiting = 0
        self.since = 0.0

    @contextlib.contextmanager
    def wait(self, error: TaskHubUnavailableError) -> Generator[None]:
        """One step waits in the block. The first and the last one are logged."""
        if not self.waiting:
            self.since = now()
            log_line(f"warning: the task hub's database fails ({error}): its steps are repeated until they succeed")
        self.waiting += 1
        self.reason = str(error)
        try:
            yield
        finally:
            self.waiting -= 1
            if not self.waiting:
                self.reason = None
                log_line(f"the task hub's database works again after {now() - self.since:.1f} s")

"""What happens if a host process dies at its n-th commit? Runs `devhost` with DIES_AT and COMMITS from the
environment.

DIES_AT is "5-" to die instead of the fifth commit and "5+" to die right after it. The file COMMITS receives the number
of commits.
"""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, override

from devhost.__main__ import main

DIES_AT = os.environ["DIES_AT"]
COMMITS = Path(os.environ["COMMITS"])


class CrashingConnection(sqlite3.Connection):
    """Counts explicit commits, which the engine uses."""

    commits = 0

    @override
    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement != "COMMIT":
            return super().execute(statement, *values)
        self.commits += 1
        die_if(f"{self.commits}-")
        cursor = super().execute(statement)
        COMMITS.write_text(str(self.commits), encoding="utf-8")
        die_if(f"{self.commits}+")
        return cursor


def crashing(connect: Callable[..., sqlite3.Connection]) -> Callable[..., sqlite3.Connection]:
    def connect_crashing(path: Any, **options: Any) -> sqlite3.Connection:
        return connect(path, **{**options, "factory": CrashingConnection})

    return connect_crashing


def die_if(moment: str) -> None:
    if moment == DIES_AT:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sqlite3.connect = crashing(sqlite3.connect)
    sys.exit(main())

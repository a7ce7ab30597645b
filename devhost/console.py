"""How do the host and its worker print their log lines and results on the terminal?"""

import contextlib
import logging
import sys
from datetime import UTC, datetime

from devhost.clock import now
from devhost.encoding import replace_unencodable


class AppLogFormatter(logging.Formatter):
    """Formats a log record of the app like a line of the host, and names its level from a warning on."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return stamped(record.created, level + super().format(record))


def log_line(text: str) -> None:
    """Prints one line with a time stamp for one notable event, never a request body."""
    write(stamped(now(), text))


def stamped(moment: float, text: str) -> str:
    """Puts the time of day in UTC before the text; `moment` is in seconds since the epoch."""
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S.%f")[:-3]
    return f"[{stamp}] {text}"


def write(text: str) -> None:
    """Drops the text if the output takes none: a log on a full disk, or a closed pipe, must not end the host."""
    with contextlib.suppress(OSError):
        sys.stdout.write(replace_unencodable(f"{text}\n", sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()

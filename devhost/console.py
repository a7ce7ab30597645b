"""How does the host print its log lines and results on the terminal?"""

import contextlib
import sys
from datetime import UTC, datetime

from devhost.clock import now
from devhost.encoding import replace_unencodable


def log_line(text: str) -> None:
    """Prints one line with a time stamp for one notable event, never a request body."""
    stamp = datetime.fromtimestamp(now(), UTC).strftime("%H:%M:%S.%f")[:-3]
    write(f"[{stamp}] {text}")


def write(text: str) -> None:
    """Drops the text if the output takes none: a log on a full disk, or a closed pipe, must not end the host."""
    with contextlib.suppress(OSError):
        sys.stdout.write(replace_unencodable(f"{text}\n", sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()

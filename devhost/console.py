"""What does the person at the terminal see?"""

import sys
from datetime import UTC, datetime

from devhost.clock import now
from devhost.encoding import replace_unencodable


def log_line(text: str) -> None:
    """One line for one notable event, never a body."""
    stamp = datetime.fromtimestamp(now(), UTC).strftime("%H:%M:%S.%f")[:-3]
    write(f"[{stamp}] {text}")


def write(text: str) -> None:
    sys.stdout.write(replace_unencodable(f"{text}\n", sys.stdout.encoding or "utf-8"))
    sys.stdout.flush()

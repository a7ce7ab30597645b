"""What does the person at the terminal see?"""

import sys
from datetime import UTC, datetime

from devhost.clock import now


def say(text: str) -> None:
    """One line for one notable event, never a body."""
    stamp = datetime.fromtimestamp(now(), UTC).strftime("%H:%M:%S.%f")[:-3]
    sys.stdout.write(f"[{stamp}] {text}\n")
    sys.stdout.flush()


def show(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

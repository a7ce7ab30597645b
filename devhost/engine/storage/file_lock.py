"""Which host process owns the database?"""

import fcntl
import os
from pathlib import Path


class DatabaseInUseError(Exception):
    """Another host holds the lock of the database."""


def take_lock(path: Path) -> int:
    """Returns the descriptor that holds the lock; the system releases it when the process ends in any way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode().partition("\n")[0] or "unknown"
        os.close(descriptor)
        raise DatabaseInUseError(f"{path} is in use by another host (process {holder})") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def write_port(descriptor: int, port: int) -> None:
    """Writes the port of this host into the lock file, where other processes find it."""
    os.pwrite(descriptor, f"{os.getpid()}\n{port}\n".encode(), 0)

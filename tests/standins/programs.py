"""How does a test start a program of this repository, and see that it has ended?"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def started_program(module: str, *options: str) -> Generator[tuple[subprocess.Popen[str], int]]:
    """Gives the process and the port that it says it serves."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        text=True,
    )
    with process:
        try:
            ready = json.loads(process.stdout.readline() if process.stdout else "")
            assert ready["ready"] is True
            yield process, ready["port"]
        finally:
            process.kill()


def wait_until(holds: Callable[[], bool], deadline_s: float = 10) -> None:
    until = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError("the condition never held")
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Tells a running process from one that ended, also when nobody has reaped it yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"

"""How does a child process end when its parent does, even by kill -9?

A child started with a pipe on stdin ends, as by SIGTERM, when that pipe closes. A Python module that knows nothing of
this gets it from `python -m standins.processes.parent_watch MODULE option ...`, which runs the module in this very process.
"""

import os
import runpy
import signal
import stat
import sys
import threading

STDIN = 0


def end_with_stdin() -> None:
    if is_pipe(STDIN):
        threading.Thread(target=end_when_stdin_closes, daemon=True).start()


def is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def end_when_stdin_closes() -> None:
    while os.read(STDIN, 1024):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    end_with_stdin()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

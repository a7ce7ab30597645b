"""How does a child process end when its parent ends, even by SIGKILL?

A child with a pipe on stdin sends itself SIGTERM when the pipe closes. To add this to any Python module,
`python -m standins.processes.parent_watch MODULE option ...` watches stdin and runs the module in the same process.
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

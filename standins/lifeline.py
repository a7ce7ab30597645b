"""How does a child process end when its parent does, even by kill -9?

A stand-in started with a pipe on stdin ends when that pipe closes. A program that knows nothing of this is started
through `python -m standins.lifeline PARENT_PID command ...`, which asks Linux to end it with its parent and then
becomes that command, keeping its pid. Elsewhere than on Linux the command merely runs.
"""

import ctypes
import os
import signal
import stat
import sys
import threading

PR_SET_PDEATHSIG = 1
STDIN = 0


def end_with_stdin() -> None:
    if is_pipe(STDIN):
        threading.Thread(target=exit_at_end_of_file, daemon=True).start()


def is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def exit_at_end_of_file() -> None:
    while os.read(STDIN, 1024):
        continue
    os._exit(0)


def end_with_parent(parent_pid: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        sys.exit("lifeline: the parent is gone already")


if __name__ == "__main__":
    end_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - it becomes the command that it was given

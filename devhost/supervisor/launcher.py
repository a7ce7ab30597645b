"""How is a worker process started so that it ends when its host ends?"""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCommand:
    """The app folder and environment of a worker process."""

    app: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedWorker:
    """A worker process with the host's end of its channel. The worker exits when `lifeline` is closed."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    lifeline: int


def launch_worker(command: WorkerCommand) -> LaunchedWorker:
    """Starts a worker, which loads the app at once. It has its own session: only the host receives Ctrl-C."""
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    arguments = ["-m", "devhost.worker", str(theirs.fileno()), str(reader), str(command.app)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, *arguments],
        cwd=PACKAGE_ROOT,
        env=dict(command.environment),
        pass_fds=(theirs.fileno(), reader),
        start_new_session=True,
    )
    theirs.close()
    os.close(reader)
    ours.setblocking(False)
    return LaunchedWorker(process=process, channel=ours, lifeline=writer)


def has_exited(pid: int) -> bool:
    """Whether a child of this process has ended, also if nobody has waited for it yet."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True

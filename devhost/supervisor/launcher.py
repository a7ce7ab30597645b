"""How is a worker process started, so that it dies with its host?"""

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
    """What a worker is started with."""

    app: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchedWorker:
    """A process, the host's end of its channel, and the descriptor whose end is the worker's end too."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    lifeline: int


def launch_worker(command: WorkerCommand) -> LaunchedWorker:
    """The process begins to load the app at once. It has a session of its own: Ctrl-C is for the host to answer."""
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

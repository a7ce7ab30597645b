"""How is the host restarted when a file of the app changes?

A parent process watches the files. It owns the public socket, so that requests wait during a restart.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from devhost.console import log_line
from devhost.http.listener import listen
from devhost.startup.options import StartOptions

POLL_INTERVAL_S = 0.2
WATCHED_SUFFIXES = frozenset({".py", ".toml"})
WATCHED_NAMES = frozenset({"host.json", "local.settings.json", "local.settings.sample.json"})
IGNORED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
FAILED_TO_START = 1
SIGNAL_EXIT_CODE = 128

type FileVersions = dict[str, tuple[int, int]]


def app_files(folder: Path) -> Iterator[Path]:
    """Yields the app's own files; skips hidden folders and installed packages."""
    for place, folders, names in folder.walk():
        folders[:] = [one for one in folders if not one.startswith(".") and one not in IGNORED_FOLDERS]
        yield from (place / name for name in names if name in WATCHED_NAMES or Path(name).suffix in WATCHED_SUFFIXES)


def file_versions(folder: Path) -> FileVersions:
    seen: FileVersions = {}
    for path in app_files(folder):
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        seen[str(path)] = (found.st_mtime_ns, found.st_size)
    return seen


def changed(before: FileVersions, after: FileVersions) -> list[str]:
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def start_arguments(options: StartOptions) -> list[str]:
    """The command-line arguments of the host that the reloader starts."""
    named = {"--app": options.app, "--db": options.database, "--state": options.state}
    arguments = [text for name, path in named.items() if path is not None for text in (name, str(path))]
    arguments += [text for name in options.hosts for text in ("--allow-host", name)]
    return [*arguments, "--enable-auth"] if options.auth else arguments


class Reloader:
    """Runs one host after another until a signal arrives."""

    def __init__(self, options: StartOptions) -> None:
        self.app = options.app.resolve()
        self.arguments = start_arguments(options)
        self.listener = listen(options.port)
        self.reader, self.writer = os.pipe()
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def run(self) -> int:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, self.on_signal)
        while True:
            seen = file_versions(self.app)
            code = self.run_host_once(seen)
            if code == FAILED_TO_START and not self.stopping:
                log_line("waiting for a change to the app's files")
                self.wait_for_change(seen)
            elif code is not None or self.stopping:
                return exit_code(code or 0, stopping=self.stopping)

    def on_signal(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the shape of a handler
        self.stopping = True
        if self.child is not None:
            self.child.send_signal(signal.SIGTERM)

    def run_host_once(self, seen: FileVersions) -> int | None:
        """Returns the exit code of a host that ended by itself; None if it was stopped because a file changed."""
        self.child = child = self.spawn()
        if self.stopping:
            child.terminate()
        while child.poll() is None:
            time.sleep(POLL_INTERVAL_S)
            found = changed(seen, file_versions(self.app))
            if found and not self.stopping:
                log_line(f"{', '.join(found)} changed: restarting the host")
                child.terminate()
                child.wait()
                return None
        return child.returncode

    def spawn(self) -> "subprocess.Popen[bytes]":
        """Starts the host in its own session: Ctrl-C reaches the reloader alone, which forwards it once."""
        inherited = (self.listener.fileno(), self.reader)
        command = [sys.executable, "-m", "devhost", "start", *self.arguments]
        command += ["--listener", str(inherited[0]), "--lifeline", str(inherited[1])]
        return subprocess.Popen(command, pass_fds=inherited, start_new_session=True)  # noqa: S603 - our own program

    def wait_for_change(self, seen: FileVersions) -> None:
        while not self.stopping and not changed(seen, file_versions(self.app)):
            time.sleep(POLL_INTERVAL_S)


def exit_code(code: int, *, stopping: bool) -> int:
    """Reports a host that a signal ended like a shell does, unless the reloader was stopping."""
    if code >= 0:
        return code
    return 0 if stopping else SIGNAL_EXIT_CODE - code


def exit_with_parent(lifeline: int) -> None:
    """Stops this process when its parent process ends."""

    def watch() -> None:
        os.read(lifeline, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()

"""How do tools and tests find the processes and the port of this host?"""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path

from devhost.console import log_line
from devhost.engine.background_tasks import BackgroundTasks

RETRY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    host_pid: int
    worker_pid: int | None
    port: int
    ready: bool

    def to_json(self) -> str:
        wire = {"host_pid": self.host_pid, "worker_pid": self.worker_pid, "port": self.port, "ready": self.ready}
        return json.dumps(wire)


def write_state(path: Path | None, state: HostState) -> None:
    """Replaces the file atomically: readers see the old or the new content, never a part."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(state.to_json(), encoding="utf-8")
    draft.replace(path)


class StateFile:
    """Keeps the file up to date, also after a time in which it could not be written."""

    def __init__(self, path: Path | None, tasks: BackgroundTasks) -> None:
        self.path = path
        self.tasks = tasks
        self.newest: HostState | None = None

    def write(self, state: HostState) -> None:
        self.newest = state
        try:
            write_state(self.path, state)
        except OSError as error:
            log_line(f"warning: the state file {self.path} can't be written: {error}")
            self.tasks.spawn(self.write_later(state))

    async def write_later(self, state: HostState) -> None:
        await asyncio.sleep(RETRY_S)
        if self.newest is state:
            self.write(state)

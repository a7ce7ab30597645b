"""How do tools and tests find the processes and the port of this host?"""

import json
import os
from dataclasses import dataclass
from pathlib import Path


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

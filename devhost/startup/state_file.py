"""How do tools and tests find the processes and the port of this host?"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    host_pid: int
    worker_pid: int | None
    port: int
    ready: bool


def write_state(path: Path | None, state: HostState) -> None:
    """Replaces the file atomically: readers see the old or the new content, never a part."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
    draft.replace(path)

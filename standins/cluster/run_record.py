"""Which processes belong to the cluster on a port? `.run/<PORT>.json` records it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standins.paths import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    port: int
    pid: int

    def to_json(self) -> dict[str, int]:
        return {"port": self.port, "pid": self.pid}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """`state` is the path of the host's own state file, None without a host."""

    port: int
    data: Path
    model: str
    pid: int
    services: dict[str, ServiceRecord]
    host_pid: int | None
    state: Path | None


def path_of(port: int) -> Path:
    return ROOT / ".run" / f"{port}.json"


def write(record: RunRecord) -> None:
    path = path_of(record.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(json_of(record), indent=2) + "\n")
    temporary.replace(path)


def json_of(record: RunRecord) -> dict[str, Any]:
    host = {"host_pid": record.host_pid, "state": str(record.state)} if record.state else None
    return {
        "port": record.port,
        "data": str(record.data),
        "model": record.model,
        "pid": record.pid,
        "services": {name: service.to_json() for name, service in record.services.items()},
        "devhost": host,
    }


def running(port: int) -> dict[str, Any] | None:
    """Reads the record of a port, or None where its process no longer runs."""
    try:
        record = json.loads(path_of(port).read_text())
    except FileNotFoundError:
        return None
    return record if is_alive(record["pid"]) else None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def forget(port: int) -> None:
    path_of(port).unlink(missing_ok=True)

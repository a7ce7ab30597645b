"""Where does an instance run, and with which processes? `.run/<PORT>.json` says."""

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
    """`state` is the path of the host's own state file, None where no host was started."""

    port: int
    data: Path
    model: str
    pid: int
    services: dict[str, ServiceRecord]
    host_pid: int | None
    state: Path | None


def path_of(port: int) -> Path:
    return ROOT / ".run" / f"{port}.json"


def write(instance: RunRecord) -> None:
    path = path_of(instance.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(json_of(instance), indent=2) + "\n")
    beside.replace(path)


def json_of(instance: RunRecord) -> dict[str, Any]:
    host = {"host_pid": instance.host_pid, "state": str(instance.state)} if instance.state else None
    return {
        "port": instance.port,
        "data": str(instance.data),
        "model": instance.model,
        "pid": instance.pid,
        "services": {name: service.to_json() for name, service in instance.services.items()},
        "devhost": host,
    }


def running(port: int) -> dict[str, Any] | None:
    """Reads what `write` wrote, if the process that wrote it still lives."""
    try:
        wire = json.loads(path_of(port).read_text())
    except FileNotFoundError:
        return None
    return wire if is_alive(wire["pid"]) else None


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

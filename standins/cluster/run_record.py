"""Where does an instance run, and with which processes? `.run/<PORT>.json` says."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from standins.paths import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    port: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """`state` is the path of the host's own state file, None where no host was started."""

    port: int
    data: Path
    model: str
    pid: int
    services: dict[str, Service]
    host_pid: int | None
    state: Path | None


def path_of(port: int) -> Path:
    return ROOT / ".run" / f"{port}.json"


def write(instance: Instance) -> None:
    path = path_of(instance.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(wire_of(instance), indent=2) + "\n")
    beside.replace(path)


def wire_of(instance: Instance) -> dict[str, Any]:
    host = {"host_pid": instance.host_pid, "state": str(instance.state)} if instance.state else None
    return {
        "port": instance.port,
        "data": str(instance.data),
        "model": instance.model,
        "pid": instance.pid,
        "services": {name: asdict(service) for name, service in instance.services.items()},
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

"""How does the command line reach instances, through a running host or the database file?"""

import fcntl
import http.client
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from devhost.app.settings import SettingsError
from devhost.engine.storage.store import TaskHubStore
from devhost.http.keys import keys_path, read_keys
from devhost.protocol_v1.client import WEBHOOKS
from devhost.protocol_v1.status import parts_from_query, query_from_wire, status_to_wire

TIMEOUT_S = 30.0


class HostUnreachableError(Exception):
    """Neither a host nor the database file can be reached; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementRequest:
    """A request to the management API. An empty `instance` means all instances."""

    method: str
    instance: str = ""
    verb: str = ""
    query: Mapping[str, str]
    body: str | None = None

    @property
    def path(self) -> str:
        parts = [quote(part, safe="") for part in (self.instance, *self.verb.split("/")) if part]
        return "/".join([f"{WEBHOOKS}/instances", *parts])


type Reply = tuple[int, Any]


class ManagementConnection(Protocol):
    def send(self, request: ManagementRequest) -> Reply: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConnection:
    port: int
    code: str

    def send(self, request: ManagementRequest) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        path = f"{request.path}?{urlencode({**request.query, 'code': self.code})}"
        try:
            connection.request(request.method, path, request.body, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise HostUnreachableError(f"the host on port {self.port} does not respond: {error}") from None
        finally:
            connection.close()
        return response.status, json_or_message(text)


def json_or_message(content: bytes) -> Any:
    """Return the JSON of an answer, or its text in the form of an error; a failure inside the host is plain text."""
    try:
        return json.loads(content) if content else None
    except ValueError:
        return {"Message": content.decode(errors="replace").strip()}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFile:
    """The database file of a host that is not running: it is read-only."""

    path: Path

    def store(self) -> TaskHubStore:
        """Raises HostUnreachableError."""
        if not self.path.exists():
            raise HostUnreachableError(f"{self.path} not found: set it with --db, or the app's folder with --app")
        return TaskHubStore(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True))

    def send(self, request: ManagementRequest) -> Reply:
        if request.method != "GET":
            raise HostUnreachableError(f"no host is running on {self.path}: without a host the file is read-only")
        store, show = self.store(), parts_from_query(request.query)
        try:
            if not request.instance:
                return 200, [status_to_wire(one, show) for one in store.query(query_from_wire(request.query))]
            found = store.get(request.instance)
            if found is None:
                return 404, {"Message": "No instance with this id exists."}
            return 200, status_to_wire(found, show, store.history(found.id) if show.history else None)
        except ValueError as error:
            return 400, {"Message": str(error)}
        finally:
            store.database.close()


def connect(path: Path) -> ManagementConnection:
    """Raises HostUnreachableError."""
    port = port_of_host(path.with_name(path.name + ".lock"))
    return DatabaseFile(path=path) if port is None else HostConnection(port=port, code=management_key(path))


def management_key(path: Path) -> str:
    """Returns an empty text if no host that requires keys has run in this folder."""
    try:
        return read_keys(keys_path(path)).durable
    except SettingsError:
        return ""


def port_of_host(lock: Path) -> int | None:
    """Returns None if no host holds the lock. Raises HostUnreachableError while a host is starting."""
    if not lock.exists():
        return None
    with lock.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            _, _, port = file.read().partition("\n")
            if not port.strip():
                raise HostUnreachableError("the host is still starting: try again") from None
            return int(port)
    return None

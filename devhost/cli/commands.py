"""Which request does each command send, and what does it print?"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from devhost.cli.connection import DatabaseFile, HostUnreachableError, ManagementRequest, connect
from devhost.cli.recording import read_recording, recording_to_json
from devhost.cli.tables import history_table, instance_text, instances_table, table
from devhost.console import write
from devhost.http.keys import STATE_FOLDER, keys_path, keys_to_json, read_keys

EPOCH = "1970-01-01T00:00:00Z"
WITH_HISTORY = {"showHistory": "true", "showHistoryOutput": "true"}
FIRST_ERROR_STATUS = 300
NOT_FOUND = 404


def request_from_arguments(arguments: argparse.Namespace) -> ManagementRequest:
    match arguments.command:
        case "instances":
            query = {"runtimeStatus": arguments.status, "instanceIdPrefix": arguments.prefix, "top": str(arguments.top)}
            return ManagementRequest(method="GET", query=query)
        case "show":
            return ManagementRequest(method="GET", instance=arguments.id, query={})
        case "history":
            return ManagementRequest(method="GET", instance=arguments.id, query=WITH_HISTORY)
        case "purge":
            return purge_request(arguments)
        case _:
            return control_request(arguments)


def control_request(arguments: argparse.Namespace) -> ManagementRequest:
    match arguments.command:
        case "raise-event":
            verb = f"raiseEvent/{arguments.name}"
            return ManagementRequest(method="POST", instance=arguments.id, verb=verb, query={}, body=arguments.value)
        case "restart":
            query = {"restartWithNewInstanceId": str(not arguments.same_id).lower()}
            return ManagementRequest(method="POST", instance=arguments.id, verb="restart", query=query)
        case verb:
            return ManagementRequest(
                method="POST", instance=arguments.id, verb=verb, query={"reason": arguments.reason}
            )


def purge_request(arguments: argparse.Namespace) -> ManagementRequest:
    if arguments.id:
        return ManagementRequest(method="DELETE", instance=arguments.id, query={})
    query = {"createdTimeFrom": EPOCH, "createdTimeTo": arguments.before, "runtimeStatus": arguments.status}
    return ManagementRequest(method="DELETE", query=query)


def nothing_purged(request: ManagementRequest, status: int, reply: Any) -> bool:
    return request.method == "DELETE" and not request.instance and status == NOT_FOUND and "instancesDeleted" in reply


def rendered(command: str, reply: Any, *, colour: bool) -> str:
    match command:
        case "instances":
            return instances_table(reply, colour=colour)
        case "show":
            return instance_text(reply, colour=colour)
        case "history":
            return history_table(reply["historyEvents"], colour=colour)
        case "purge":
            return f"{reply['instancesDeleted']} removed"
        case "restart":
            return f"started {reply['id']}"
        case _:
            return "accepted"


def perform(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 0, or 1 if the host rejects the request."""
    path: Path = arguments.db or arguments.app / STATE_FOLDER / "hub.db"
    try:
        if arguments.command == "keys":
            return show_keys(path, as_json=arguments.json)
        if arguments.command == "history" and arguments.full:
            return full_history(path, arguments.id)
        request = request_from_arguments(arguments)
        status, reply = connect(path).send(request)
    except HostUnreachableError as error:
        return print_error(str(error))
    if status >= FIRST_ERROR_STATUS and not nothing_purged(request, status, reply):
        return print_error((reply.get("ExceptionMessage") or reply["Message"]) if reply else "the instance has ended")
    if arguments.json:
        write(json.dumps(reply, indent=2, ensure_ascii=False))
    else:
        write(rendered(arguments.command, reply, colour=sys.stdout.isatty()))
    return 0


def full_history(path: Path, instance: str) -> int:
    """Reads the database file: the API omits events that a replay needs."""
    recording = read_recording(DatabaseFile(path=path).store(), instance)
    if recording is None:
        return print_error("No instance with this id exists.")
    write(recording_to_json(recording))
    return 0


def show_keys(path: Path, *, as_json: bool) -> int:
    """Raises SettingsError if no host has created keys yet."""
    keys = read_keys(keys_path(path))
    if as_json:
        write(keys_to_json(keys))
        return 0
    own = [(f"function {name}", key) for name, key in sorted(keys.functions.items())]
    named = [("everything", keys.master), ("every function", keys.host), ("the management API", keys.durable), *own]
    write(table(["OPENS", "KEY"], named, colour=False))
    return 0


def print_error(text: str) -> int:
    print(f"devhost: {text}", file=sys.stderr)
    return 1

"""What does each command ask, and what does it print?"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devhost.cli.connection import File, NotReachableError, Question, reach
from devhost.cli.recording import recording_of, recording_to_json
from devhost.cli.tables import history_table, instance_text, instances_table, table
from devhost.console import show
from devhost.http.keys import FOLDER, keys_path, read_keys

EVERYTHING = "1970-01-01T00:00:00Z"
WITH_HISTORY = {"showHistory": "true", "showHistoryOutput": "true"}
FIRST_REFUSAL = 300
NOTHING_FOUND = 404


def question_of(arguments: argparse.Namespace) -> Question:
    match arguments.command:
        case "instances":
            query = {"runtimeStatus": arguments.status, "instanceIdPrefix": arguments.prefix, "top": str(arguments.top)}
            return Question(method="GET", query=query)
        case "show":
            return Question(method="GET", instance=arguments.id, query={})
        case "history":
            return Question(method="GET", instance=arguments.id, query=WITH_HISTORY)
        case "purge":
            return purge(arguments)
        case _:
            return order(arguments)


def order(arguments: argparse.Namespace) -> Question:
    match arguments.command:
        case "raise-event":
            verb = f"raiseEvent/{arguments.name}"
            return Question(method="POST", instance=arguments.id, verb=verb, query={}, body=arguments.value)
        case "restart":
            query = {"restartWithNewInstanceId": str(not arguments.same_id).lower()}
            return Question(method="POST", instance=arguments.id, verb="restart", query=query)
        case verb:
            return Question(method="POST", instance=arguments.id, verb=verb, query={"reason": arguments.reason})


def purge(arguments: argparse.Namespace) -> Question:
    if arguments.id:
        return Question(method="DELETE", instance=arguments.id, query={})
    query = {"createdTimeFrom": EVERYTHING, "createdTimeTo": arguments.before, "runtimeStatus": arguments.status}
    return Question(method="DELETE", query=query)


def nothing_purged(question: Question, status: int, reply: Any) -> bool:
    return (
        question.method == "DELETE"
        and not question.instance
        and status == NOTHING_FOUND
        and "instancesDeleted" in reply
    )


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
    """Returns the exit code: 0, or 1 when the host refuses."""
    path: Path = arguments.db or arguments.app / FOLDER / "hub.db"
    try:
        if arguments.command == "keys":
            return show_keys(path, as_json=arguments.json)
        if arguments.command == "history" and arguments.full:
            return full_history(path, arguments.id)
        question = question_of(arguments)
        status, reply = reach(path).ask(question)
    except NotReachableError as error:
        return refuse(str(error))
    if status >= FIRST_REFUSAL and not nothing_purged(question, status, reply):
        return refuse((reply.get("ExceptionMessage") or reply["Message"]) if reply else "the instance has ended")
    if arguments.json:
        show(json.dumps(reply, indent=2, ensure_ascii=False))
    else:
        show(rendered(arguments.command, reply, colour=sys.stdout.isatty()))
    return 0


def full_history(path: Path, instance: str) -> int:
    """Always from the file: the API leaves out what a replay needs."""
    recording = recording_of(File(path=path).store(), instance)
    if recording is None:
        return refuse("No instance with this id exists.")
    show(recording_to_json(recording))
    return 0


def show_keys(path: Path, *, as_json: bool) -> int:
    """Raises SettingsError when no host has made keys yet."""
    keys = read_keys(keys_path(path))
    if as_json:
        show(json.dumps(asdict(keys), indent=2))
        return 0
    own = [(f"function {name}", key) for name, key in sorted(keys.functions.items())]
    named = [("everything", keys.master), ("every function", keys.host), ("the management API", keys.durable), *own]
    show(table(["OPENS", "KEY"], named, colour=False))
    return 0


def refuse(text: str) -> int:
    print(f"devhost: {text}", file=sys.stderr)
    return 1
